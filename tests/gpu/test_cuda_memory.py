"""Contexts, copies, events and graphs on a real GPU."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.cuda_graph import capture_graph
from runtime.errors import BackendError

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[2]
SIZE = 1 << 20


@pytest.fixture
def memory(current: Any) -> Any:
    """The module, which can be imported only where a driver is."""
    from runtime import cuda_memory

    return cuda_memory


def test_what_the_device_says_is_what_the_driver_says(device: Any) -> None:
    from runtime.trt_module import find_gpu

    gpu = find_gpu()
    assert gpu is not None
    assert (device.name, device.compute_capability) == (gpu.name, gpu.compute_capability)


def test_a_round_trip_through_the_gpu(memory: Any) -> None:
    there, back, stream = (
        memory.HostBuffer(SIZE, "x"),
        memory.HostBuffer(SIZE, "x"),
        memory.Stream(),
    )
    one, two = memory.DeviceBuffer(SIZE, "x"), memory.DeviceBuffer(SIZE, "x")
    assert one.address % 256 == 0
    there.array[:] = np.random.default_rng(0).integers(0, 256, SIZE)
    stream.copy_to_device(one.address, there.array)
    stream.copy_on_device(two.address, one.address, SIZE)
    stream.copy_to_host(back.array, two.address)
    stream.synchronize()
    np.testing.assert_array_equal(back.array, there.array)
    for thing in (stream, one, two, there, back):
        thing.close()


def test_a_stream_waits_for_the_event_of_another(memory: Any) -> None:
    there, back = memory.HostBuffer(SIZE, "x"), memory.HostBuffer(SIZE, "x")
    buffer, first, second = memory.DeviceBuffer(SIZE, "x"), memory.Stream(), memory.Stream()
    event = memory.Event()
    event.synchronize()  # never recorded: passed
    for value in range(50):
        there.array[:] = value
        first.copy_to_device(buffer.address, there.array)
        event.record(first)
        event.delay(second)
        second.copy_to_host(back.array, buffer.address)
        second.synchronize()
        assert back.array[0] == back.array[-1] == value
    for thing in (first, second, event, buffer, there, back):
        thing.close()


def test_threads_share_the_context_and_end_well(device: Any) -> None:
    from runtime.cuda_memory import DeviceBuffer, HostBuffer, Stream

    with device.current():
        buffer = DeviceBuffer(SIZE, "x")
    errors: list[BaseException] = []

    def guard(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    def work() -> None:
        for value in range(20):
            with device.current():
                pinned, stream = HostBuffer(64, "x"), Stream()
                pinned.array[:] = value
                stream.copy_to_device(buffer.address, pinned.array)
                stream.close()
                pinned.close()

    threads = [threading.Thread(target=guard, args=(work,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with device.current():
        buffer.close()
    assert not errors


def test_a_graph_runs_at_each_launch_and_not_when_recorded(memory: Any) -> None:
    pinned, back = memory.HostBuffer(64, "x"), memory.HostBuffer(64, "x")
    buffer, stream = memory.DeviceBuffer(64, "x"), memory.Stream()

    def enqueue() -> None:
        stream.copy_to_device(buffer.address, pinned.array)
        stream.copy_to_host(back.array, buffer.address)

    back.array[:] = 99
    graph = capture_graph(stream.handle, enqueue)
    stream.synchronize()
    assert back.array[0] == 99
    for value in (3, 4):
        pinned.array[:] = value
        graph.launch(stream.handle)
        stream.synchronize()
        assert set(back.array) == {value}
    graph.close()
    for thing in (stream, buffer, pinned, back):
        thing.close()


def test_an_allocation_while_recording_fails_and_the_stream_recovers(memory: Any) -> None:
    pinned, buffer, stream = (
        memory.HostBuffer(64, "x"),
        memory.DeviceBuffer(64, "x"),
        memory.Stream(),
    )
    with pytest.raises((BackendError, memory.cuda.Error)):
        capture_graph(stream.handle, stream.synchronize)
    stream.copy_to_device(buffer.address, pinned.array)
    for thing in (stream, buffer, pinned):
        thing.close()


def test_out_of_memory_says_how_much(memory: Any) -> None:
    with pytest.raises(
        BackendError, match=r"out of memory: asked for .* MiB of GPU memory for a te"
    ):
        memory.DeviceBuffer(1 << 50, "a test")
    memory.DeviceBuffer(64, "a test").close()


def test_an_integrated_gpu_sees_pinned_memory(memory: Any, current: Any) -> None:
    if not current.maps_host_memory:
        pytest.skip("not an integrated GPU")
    pinned, back, stream = memory.HostBuffer(64, "x"), memory.HostBuffer(64, "x"), memory.Stream()
    pinned.array[:] = 5
    stream.copy_on_device(back.device_address, pinned.device_address, 64)
    stream.synchronize()
    assert set(back.array) == {5}
    for thing in (stream, pinned, back):
        thing.close()


def test_a_process_that_used_the_gpu_in_a_thread_exits_cleanly(device: Any) -> None:
    code = (
        "import threading\n"
        "from runtime.cuda_memory import open_device, DeviceBuffer\n"
        "def work():\n"
        "    with open_device().current():\n"
        "        DeviceBuffer(64, 'x').close()\n"
        "threading.Thread(target=work).start()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
