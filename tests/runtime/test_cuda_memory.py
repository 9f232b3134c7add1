"""Contexts, memory, streams and events on the software GPU."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import BackendError
from tests.fakes.cuda_driver import MEBIBYTE, FakeDriver

Install = Callable[[FakeDriver], FakeDriver]
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")


def test_what_a_device_says_of_itself(driver: FakeDriver) -> None:
    from runtime.cuda_memory import open_device

    device = open_device()
    assert (device.name, device.compute_capability) == ("Fake GPU", "8.6")
    assert not device.maps_host_memory
    assert open_device() is device


def test_an_integrated_gpu_maps_host_memory(install_gpu: Install) -> None:
    install_gpu(FakeDriver(integrated=True))
    from runtime.cuda_memory import open_device

    assert open_device().maps_host_memory


def test_the_context_is_current_inside_the_block_only(driver: FakeDriver) -> None:
    from runtime.cuda_memory import open_device

    device = open_device()
    with device.current():
        assert len(driver.stack) == 1
        with device.current():
            assert len(driver.stack) == 2
        assert len(driver.stack) == 1
    assert not driver.stack
    with pytest.raises(ValueError, match="mine"), device.current():
        raise ValueError("mine")
    assert not driver.stack


def test_a_round_trip_through_the_gpu(driver: FakeDriver) -> None:
    from runtime.cuda_memory import DeviceBuffer, HostBuffer, Stream, open_device

    with open_device().current():
        there, back, stream = HostBuffer(64, "x"), HostBuffer(64, "x"), Stream()
        one, two = DeviceBuffer(64, "x"), DeviceBuffer(64, "x")
        there.array[:] = np.arange(64)
        stream.copy_to_device(one.address, there.array)
        stream.copy_on_device(two.address, one.address, 64)
        stream.copy_to_host(back.array, two.address)
        assert not np.array_equal(back.array, there.array)  # nothing waited yet
        stream.synchronize()
        np.testing.assert_array_equal(back.array, np.arange(64))
        for thing in (stream, one, two, there, back):
            thing.close()
    assert not driver.alive and not driver.pinned and not driver.streams


def test_what_one_thread_made_another_uses_and_frees(driver: FakeDriver) -> None:
    from runtime.cuda_memory import DeviceBuffer, Stream, open_device

    device = open_device()
    with device.current():
        buffer, stream = DeviceBuffer(64, "x"), Stream()
    left: list[int] = []

    def work() -> None:
        with device.current():
            stream.copy_on_device(buffer.address, buffer.address, 64)
            stream.close()
            buffer.close()
        left.append(len(driver.stack))  # pycuda aborts if a thread ends with a context

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert left == [0] and not driver.alive and not driver.streams


def test_a_stream_waits_for_the_event_of_another(driver: FakeDriver) -> None:
    from runtime.cuda_memory import DeviceBuffer, Event, HostBuffer, Stream, open_device

    with open_device().current():
        pinned, buffer = HostBuffer(8, "x"), DeviceBuffer(8, "x")
        first, second, event = Stream(), Stream(), Event()
        event.synchronize()  # never recorded: passed
        pinned.array[:] = 7
        first.copy_to_device(buffer.address, pinned.array)
        event.record(first)
        event.delay(second)
        second.copy_to_host(pinned.array, buffer.address)
        second.synchronize()
        assert driver.alive[buffer.address].tolist() == [7] * 8
        for thing in (first, second, event, pinned, buffer):
            thing.close()


def test_out_of_gpu_memory_says_how_much_for_what(install_gpu: Install) -> None:
    install_gpu(FakeDriver(free_bytes=3 * MEBIBYTE))
    from runtime.cuda_memory import DeviceBuffer, open_device

    message = (
        r"out of memory: asked for 4\.0 MiB of GPU memory for the outputs, and 3\.0 MiB are free; "
        r"expected enough; .*nvidia-smi.*smaller SIZE"
    )
    with pytest.raises(BackendError, match=message), open_device().current():
        DeviceBuffer(4 * MEBIBYTE, "the outputs")


def test_out_of_pinned_memory(install_gpu: Install) -> None:
    install_gpu(FakeDriver(refuse=frozenset({"pin"})))
    from runtime.cuda_memory import HostBuffer, open_device

    with pytest.raises(BackendError, match=r"asked for 1\.0 MiB of pinned host memory for x; "):
        with open_device().current():
            HostBuffer(MEBIBYTE, "x")


def test_a_copy_outside_its_memory_is_one_error(driver: FakeDriver) -> None:
    from runtime.cuda_memory import DeviceBuffer, Stream, open_device

    with open_device().current():
        stream, buffer = Stream(), DeviceBuffer(64, "x")
    with pytest.raises(BackendError, match=r"Fake GPU failed .*ILLEGAL_ADDRESS.*dmesg"):
        with open_device().current():
            stream.copy_on_device(buffer.address, buffer.address, 65)
            stream.synchronize()
    with open_device().current():
        stream.close()
        buffer.close()


def test_a_driver_without_gpu(install_gpu: Install) -> None:
    install_gpu(FakeDriver(devices=0))
    from runtime.cuda_memory import open_device

    with pytest.raises(BackendError, match=r"found no GPU .*expected one; see nvidia-smi"):
        open_device()


def test_a_gpu_that_does_not_exist(driver: FakeDriver) -> None:
    from runtime.cuda_memory import open_device

    with pytest.raises(BackendError, match="GPU 1 does not exist; expected one of 1"):
        open_device(1)


def test_the_context_is_given_back_when_the_process_ends(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    from runtime.cuda_memory import open_device

    open_device()
    open_device()
    assert driver.calls == []
    for function in at_exit:
        function()
    assert driver.calls == ["detach"]


def test_a_gpu_that_is_taken(install_gpu: Install) -> None:
    install_gpu(FakeDriver(refuse=frozenset({"context"})))
    from runtime.cuda_memory import open_device

    with pytest.raises(BackendError, match=r"gave no context .*nvidia-smi"):
        open_device()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            "libcuda.so.1: cannot open shared object file: No such file or directory",
            r"no NVIDIA driver \(libcuda\.so\.1: .*\); expected libcuda\.so\.1; install the driver",
        ),
        ("No module named 'pycuda'", r"pycuda cannot be imported .*'\.\[trt\]'.*curand\.h"),
    ],
)
def test_without_pycuda_or_driver_importing_says_what_to_do(
    tmp_path: Path, error: str, message: str
) -> None:
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    (tmp_path / "pycuda" / "driver.py").write_text(f"raise ImportError({error!r})")
    code = "import runtime.cuda_memory"
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "BackendError: " in last
    with pytest.raises(BackendError, match=message):
        raise BackendError(last)
