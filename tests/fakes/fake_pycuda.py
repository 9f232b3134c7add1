"""pycuda.driver on top of the software GPU: its names, its classes of errors, and its traps.

As in pycuda 2026.1: a thing is freed while its context is current or not at all (here that is an
error, there a warning and a leak), and a thread must not end with a context on its stack.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from tests.fakes.cuda_driver import CudaFailure, FakeDriver

NON_BLOCKING = 1


def fake_pycuda(driver: FakeDriver) -> dict[str, types.ModuleType]:
    """Return the modules ``pycuda`` and ``pycuda.driver``, for ``sys.modules``."""
    cuda: Any = types.ModuleType("pycuda.driver")
    cuda.Error = type("Error", (Exception,), {})
    for name in ("MemoryError", "LogicError", "RuntimeError", "LaunchError"):
        setattr(cuda, name, type(name, (cuda.Error,), {}))
    attributes = {"INTEGRATED": "integrated", "CAN_MAP_HOST_MEMORY": "can map"}
    cuda.device_attribute = types.SimpleNamespace(**attributes)
    cuda.host_alloc_flags = types.SimpleNamespace(DEVICEMAP=2)
    cuda.event_flags = types.SimpleNamespace(DEFAULT=0, DISABLE_TIMING=2)

    def guarded(function: Any, *arguments: Any) -> Any:
        """Call the driver and raise what pycuda would."""
        try:
            return function(*arguments)
        except CudaFailure as failure:
            kind = cuda.MemoryError if "OUT_OF_MEMORY" in failure.name else cuda.LogicError
            raise kind(f"cuda call failed: {failure.name}") from None

    def init() -> None:
        if not driver.devices:
            raise cuda.RuntimeError("cuInit failed: no CUDA-capable device is detected")

    class Context:
        def push(self) -> None:
            driver.stack.append(self)

        @staticmethod
        def pop() -> None:
            if not driver.stack:
                raise cuda.LogicError("context::pop failed: invalid device context")
            driver.stack.pop()

        def detach(self) -> None:
            driver.calls.append("detach")

    class Device:
        def __init__(self, ordinal: int) -> None:
            self._ordinal = ordinal

        @staticmethod
        def count() -> int:
            return driver.devices

        def name(self) -> str:
            return "Fake GPU"

        def compute_capability(self) -> tuple[int, int]:
            return 8, 6

        def get_attribute(self, attribute: str) -> int:
            return 1 if attribute == "can map" else int(driver.integrated)

        def retain_primary_context(self) -> Context:
            if "context" in driver.refuse:
                raise cuda.LogicError("cuDevicePrimaryCtxRetain failed: devices unavailable")
            return Context()

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self._address = guarded(driver.allocate, size)

        def __int__(self) -> int:
            return int(self._address)

        def free(self) -> None:
            guarded(driver.free, self._address)

    class PagelockedHostAllocation:
        def __init__(self, size: int) -> None:
            self.address, self.block = guarded(driver.allocate_pinned, size)
            self.__array_interface__ = self.block.__array_interface__

        def get_device_pointer(self) -> int:
            return int(self.address)

        def free(self) -> None:
            guarded(driver.free_pinned, self.address)

    def pagelocked_empty(shape: int, dtype: type, order: str = "C", mem_flags: int = 0) -> Any:
        array = np.asarray(PagelockedHostAllocation(shape))
        assert dtype is np.uint8 and isinstance(array.base, PagelockedHostAllocation)
        return array

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            assert flags == NON_BLOCKING, "this stream would wait for the default stream"
            self.handle = guarded(driver.make_stream, flags)

        def synchronize(self) -> None:
            guarded(driver.synchronize, self.handle)

        def wait_for_event(self, event: Event) -> None:
            driver.enqueue(self.handle, event.reach)

        def __del__(self) -> None:
            driver.destroy(driver.destroy_stream, self.handle)

    class Event:
        """Reached by running its stream up to where it was recorded."""

        def __init__(self, flags: int = 0) -> None:
            self._waiting: list[tuple[int, object]] = []
            self._keeps_time = flags == cuda.event_flags.DEFAULT
            self._reached_ms: float | None = None

        def record(self, stream: Stream) -> Event:
            def mark() -> None:
                self._waiting.clear()
                self._reached_ms = driver.clock_ms

            self._waiting = [(stream.handle, mark)]
            driver.enqueue(stream.handle, mark)
            return self

        def reach(self) -> None:
            for handle, mark in list(self._waiting):
                pending = driver.streams[handle].pending
                while mark in pending:
                    pending.pop(0)()

        def time_since(self, earlier: Event) -> float:
            if not (self._keeps_time and earlier._keeps_time):
                raise cuda.LogicError("cuEventElapsedTime failed: invalid resource handle")
            if self._reached_ms is None or earlier._reached_ms is None or self._waiting:
                raise cuda.LogicError("cuEventElapsedTime failed: device not ready")
            return self._reached_ms - earlier._reached_ms

        def synchronize(self) -> Event:
            with driver.call("wait_for_event"):
                self.reach()
            return self

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        assert driver.is_pinned(src) and src.flags.c_contiguous
        copy = lambda: _copy(driver.memory(dest, src.nbytes), src)  # noqa: E731
        guarded(driver.enqueue_call, "copy_to_device", stream.handle, copy)

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        assert driver.is_pinned(dest) and dest.flags.c_contiguous
        copy = lambda: _copy(dest, driver.memory(src, dest.nbytes))  # noqa: E731
        guarded(driver.enqueue_call, "copy_to_host", stream.handle, copy)

    def memcpy_dtod_async(dest: int, src: int, size: int, stream: Stream) -> None:
        copy = lambda: _copy(driver.memory(dest, size), driver.memory(src, size))  # noqa: E731
        guarded(driver.enqueue_call, "copy_on_device", stream.handle, copy)

    cuda.init, cuda.Device, cuda.Context = init, Device, Context
    cuda.mem_alloc, cuda.pagelocked_empty = DeviceAllocation, pagelocked_empty
    cuda.mem_get_info = lambda: (driver.free_bytes, 256 * 2**20)
    cuda.Stream, cuda.Event = Stream, Event
    cuda.memcpy_htod_async = memcpy_htod_async
    cuda.memcpy_dtoh_async = memcpy_dtoh_async
    cuda.memcpy_dtod_async = memcpy_dtod_async
    package: Any = types.ModuleType("pycuda")
    package.driver = cuda
    return {"pycuda": package, "pycuda.driver": cuda}


def _copy(target: np.ndarray, source: np.ndarray) -> None:
    target.reshape(-1)[:] = source.reshape(-1)
