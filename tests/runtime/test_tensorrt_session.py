"""Contexts, graphs and memory: what a frame costs, and what happens when there is not enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.errors import BackendError
from tests.fakes.cuda_driver import FakeDriver
from tests.fakes.fake_tensorrt import (
    FakeTensorRT,
    brightness,
    grey,
    new_backend,
)

Install = Callable[[FakeDriver], FakeDriver]
ALLOCATIONS = {"allocate", "allocate_pinned", "make_stream", "begin_capture"}

pytestmark = [
    pytest.mark.usefixtures("no_library"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def test_batches_of_every_size_up_to_the_profiles(backend: Any) -> None:
    for _ in range(2):
        pair = backend.infer(np.concatenate([grey(30), grey(90)]))
        assert np.rint(pair["scores"][:, 0] * 255).tolist() == [30, 90]
        assert pair["boxes"].shape == (2, 3, 4)
        assert brightness(backend.infer(grey(60))) == 60


def test_a_batch_above_the_profile_is_refused_and_the_next_one_runs(backend: Any) -> None:
    message = r"refused an input of \(3, 64, 64, 3\) \(Error Code 3.*at most \(2, 64, 64, 3\)"
    with pytest.raises(BackendError, match=message):
        backend.infer(grey(1, (3, 64, 64, 3)))
    assert brightness(backend.infer(grey(60))) == 60


def test_a_frame_is_one_graph_and_allocates_nothing(
    gpu_letterbox: None, backend: Any, driver: FakeDriver
) -> None:
    held = [backend.prepare(grey(1, (100, 90, 3))) for _ in range(2)]
    backend.infer_prepared(held.pop())
    driver.calls.clear()
    held.clear()
    for value in range(20):
        prepared = backend.prepare(grey(value, (64, 64, 3)))
        assert brightness(backend.infer_prepared(prepared)) == value
    assert not ALLOCATIONS & set(driver.calls)
    counts = {name: driver.calls.count(name) for name in set(driver.calls)}
    assert counts == {"copy_to_device": 20, "letterbox": 20, "launch": 20, "synchronize": 20}


def test_a_new_shape_is_recorded_anew_and_the_old_graph_goes(
    backend: Any, driver: FakeDriver
) -> None:
    driver.calls.clear()
    for count in (1, 1, 2, 2, 2, 1):
        backend.infer(grey(1, (count, 64, 64, 3)))
    assert driver.calls.count("begin_capture") == 2  # that of one frame was made at opening
    assert len(driver.graphs) == 1


@pytest.mark.parametrize(
    "refuse", ["capture", "instantiate", "record execute", "record copy_to_host"]
)
def test_a_failing_capture_is_one_notice(
    driver: FakeDriver, engine: Path, refuse: str, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.refuse = frozenset({refuse})
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    for value in (5, 6, 7):
        assert brightness(backend.infer(grey(value))) == value
    error = capsys.readouterr().err
    assert error.startswith("notice: no CUDA graph") and error.count("\n") == 1
    assert "CUDA_ERROR_" in error
    backend.close()
    assert driver.is_empty


def test_every_allocation_that_fails_is_one_error_and_leaves_nothing(
    install_gpu: Install, engine: Path
) -> None:
    needed = count_allocations(install_gpu(FakeDriver()), engine)
    assert needed == 7  # weights, context, input, outputs twice, a picture twice
    for number in range(needed):
        driver = install_gpu(FailingDriver(number))
        backend = new_backend(FakeTensorRT(driver))
        with pytest.raises(BackendError, match=r"out of memory: asked for .* MiB of .*; expected"):
            backend.open(engine)
        assert driver.is_empty, number


class FailingDriver(FakeDriver):
    """Has no memory for one allocation."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self._left = fails_at

    def _next(self) -> None:
        self._left -= 1
        if self._left == -1:
            self.refuse, self.free_bytes = frozenset({"pin"}), 0

    def allocate(self, size: int) -> int:
        self._next()
        return super().allocate(size)

    def allocate_pinned(self, size: int) -> tuple[int, np.ndarray]:
        self._next()
        return super().allocate_pinned(size)


def count_allocations(driver: FakeDriver, engine: Path) -> int:
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    backend.close()
    return driver.calls.count("allocate") + driver.calls.count("allocate_pinned")


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        ("runtime", r"does not start \(CUDA initialization failure .*driver as new as it needs"),
        ("execute", r"the engine failed \(Error Code 1: Cuda Runtime \(launch failed\)\)"),
        ("shape", "refused an input of"),
        ("address", "refused an address for 'frames'"),
    ],
)
def test_an_engine_that_will_not_run(
    driver: FakeDriver, engine: Path, refuse: str, message: str
) -> None:
    backend = new_backend(FakeTensorRT(driver, refuse=frozenset({refuse})))
    with pytest.raises(BackendError, match=message):
        backend.open(engine)
    assert driver.is_empty
