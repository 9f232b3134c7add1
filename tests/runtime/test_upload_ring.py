"""Buffers that take turns, on the software GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from runtime.errors import BackendError
from tests.fakes.cuda_driver import MEBIBYTE, FakeDriver

Install = Callable[[FakeDriver], FakeDriver]
SHAPE = (4, 5, 3)


def filled(value: int) -> Callable[[np.ndarray], None]:
    return lambda pinned: pinned.fill(value)


@pytest.fixture(params=[False, True], ids=["discrete", "integrated"])
def driver(request: pytest.FixtureRequest, install_gpu: Install) -> FakeDriver:
    return install_gpu(FakeDriver(integrated=request.param))


@pytest.fixture
def ring(driver: FakeDriver) -> Iterator[Any]:
    from runtime.cuda_memory import open_device
    from runtime.upload_ring import UploadRing

    with open_device().current():
        ring = UploadRing(open_device())
        yield ring
        ring.close()
    assert not driver.alive and not driver.pinned and not driver.streams


def read(driver: FakeDriver, frame: Any) -> np.ndarray:
    """Return what a kernel would see of a frame once it has arrived."""
    frame.arrived.synchronize()
    return driver.memory(frame.address, frame.size)


def test_what_is_written_arrives(driver: FakeDriver, ring: Any) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(SHAPE)
    frame = ring.upload(SHAPE, lambda pinned: np.copyto(pinned, values))
    np.testing.assert_array_equal(read(driver, frame), values.reshape(-1))


def test_an_integrated_gpu_gets_no_copy(driver: FakeDriver, ring: Any) -> None:
    frame = ring.upload(SHAPE, filled(1))
    assert ("copy_to_device" in driver.calls) is not driver.integrated
    assert bool(driver.alive) is not driver.integrated
    assert (frame.address in driver.pinned) is driver.integrated


def test_buffers_are_used_again_and_never_while_held(driver: FakeDriver, ring: Any) -> None:
    held = ring.upload(SHAPE, filled(1))
    for value in range(2, 40):
        ring.upload(SHAPE, filled(value))  # dropped at once, often before it arrived
    assert len(driver.pinned) == 2
    assert set(read(driver, held)) == {1}


def test_nothing_is_allocated_once_there_are_enough(driver: FakeDriver, ring: Any) -> None:
    frames = [ring.upload(SHAPE, filled(n)) for n in range(3)]
    driver.calls.clear()
    for value in range(30):
        frames.pop(0)
        frames.append(ring.upload(SHAPE, filled(value)))
    assert not {"allocate", "allocate_pinned", "make_stream"} & set(driver.calls)
    assert [set(read(driver, frame)) for frame in frames] == [{27}, {28}, {29}]


def test_a_larger_picture_gets_a_larger_buffer(driver: FakeDriver, ring: Any) -> None:
    ring.upload(SHAPE, filled(1))
    large = ring.upload((8, 5, 3), filled(2))
    assert set(read(driver, large)) == {2} and large.size == 120
    del large
    small = ring.upload(SHAPE, filled(3))
    assert set(read(driver, small)) == {3} and small.size == 60
    assert len(driver.pinned) == 1


def test_too_many_held_pictures_are_one_error(driver: FakeDriver, ring: Any) -> None:
    held = [ring.upload(SHAPE, filled(1)) for _ in range(256)]
    with pytest.raises(BackendError, match="256 prepared pictures are held; expected fewer than"):
        ring.upload(SHAPE, filled(2))
    held.pop()
    ring.upload(SHAPE, filled(2))


def test_a_picture_that_cannot_be_filled_gives_its_buffer_back(
    driver: FakeDriver, ring: Any
) -> None:
    def fail(pinned: np.ndarray) -> None:
        raise ValueError("no picture")

    for _ in range(20):
        with pytest.raises(ValueError, match="no picture"):
            ring.upload(SHAPE, fail)
    assert len(driver.pinned) == 1


def test_frames_dropped_in_another_thread_come_back(driver: FakeDriver, ring: Any) -> None:
    for value in range(20):
        frame = ring.upload(SHAPE, filled(value))
        thread = threading.Thread(target=lambda waiting: waiting.clear(), args=([frame],))
        del frame
        thread.start()
        thread.join()
        del thread
    assert len(driver.pinned) == 1


def test_out_of_memory_leaves_nothing_behind(install_gpu: Install) -> None:
    driver = install_gpu(FakeDriver(free_bytes=MEBIBYTE))
    from runtime.cuda_memory import open_device
    from runtime.upload_ring import UploadRing

    with open_device().current():
        ring = UploadRing(open_device())
        with pytest.raises(BackendError, match=r"2\.0 MiB of GPU memory for a picture on the GPU"):
            ring.upload((2 * MEBIBYTE,), filled(1))
        ring.close()
    assert not driver.pinned and not driver.alive
