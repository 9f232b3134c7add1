"""The GPU's context, memory, streams and events: the only file that imports pycuda.

Importing it without pycuda or without the NVIDIA driver raises ``BackendError`` with the reason.

pycuda frees a thing only while the context it was made in is current in the calling thread, and
aborts the process when a thread ends with a context still pushed. So everything here is made, used
and closed inside ``with device.current()``, in whichever thread, and nothing is left to the garbage
collector.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from runtime.errors import BackendError


def _import_error(error: ImportError) -> BackendError:
    """Say which of the two is missing: pycuda is linked against the driver's library."""
    if "libcuda" in str(error):
        return BackendError(
            f"no NVIDIA driver ({error}); expected libcuda.so.1; install the driver, and in a "
            "container start it with the NVIDIA runtime (docker run --gpus all)"
        )
    return BackendError(
        f"pycuda cannot be imported ({error}); expected it to reach the GPU; install it: "
        "pip install --editable '.[trt]' (it is compiled: that needs g++ and the CUDA toolkit with "
        "cuda.h and curand.h, such as packages cuda-nvcc, cuda-cudart-dev and libcurand-dev)"
    )


try:
    import pycuda.driver as cuda
except ImportError as reason:
    raise _import_error(reason) from None

# From cuda.h: a stream that never waits for the default stream, nor makes it wait.
NON_BLOCKING_STREAM = 1


class Device:
    """One GPU, through its primary context, which TensorRT and the CUDA runtime use as well.

    Any thread may use it. Get it from ``open_device``.

    Attributes:
        name: Such as "Orin".
        compute_capability: Such as "8.7".
        maps_host_memory: Whether GPU and CPU share their memory (Jetson), so that the GPU reads
            pinned host memory in place.
    """

    def __init__(self, ordinal: int) -> None:
        try:
            cuda.init()
            count = cuda.Device.count()
        except cuda.Error as error:
            raise BackendError(
                f"the NVIDIA driver found no GPU ({error}); expected one; see nvidia-smi, and "
                "CUDA_VISIBLE_DEVICES if it is set"
            ) from None
        if ordinal >= count:
            raise BackendError(
                f"GPU {ordinal} does not exist; expected one of {count}; see nvidia-smi"
            )
        try:
            device, attribute = cuda.Device(ordinal), cuda.device_attribute
            self.name = str(device.name())
            self.compute_capability = ".".join(map(str, device.compute_capability()))
            self.maps_host_memory = bool(
                device.get_attribute(attribute.INTEGRATED)
                and device.get_attribute(attribute.CAN_MAP_HOST_MEMORY)
            )
            self._context = device.retain_primary_context()
        except cuda.Error as error:
            raise BackendError(
                f"GPU {ordinal} gave no context ({error}); expected memory and access for one more "
                "program; see nvidia-smi for what else runs on it"
            ) from None
        # Left to its destructor, pycuda would try to detach a primary context as if it were its
        # own, and print a warning when the process ends.
        atexit.register(self._context.detach)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make this GPU's context the calling thread's for the length of the block.

        Raises:
            BackendError: For every CUDA error of the block.
        """
        try:
            self._context.push()
            try:
                yield
            finally:
                cuda.Context.pop()
        except cuda.Error as error:
            raise BackendError(
                f"{self.name} failed ({error}); expected no error; start again, and if it comes "
                "back look for the GPU's own report: dmesg | grep -i -e NVRM -e nvgpu"
            ) from None


@functools.cache
def open_device(ordinal: int = 0) -> Device:
    """Return a GPU; the same object at every call.

    Its context stays until the process ends: engines, plugins and streams of any backend live in
    it, and making it anew takes seconds.

    Raises:
        BackendError: If there is no such GPU or it cannot be used.
    """
    return Device(ordinal)


class DeviceBuffer:
    """Memory on the GPU.

    Args:
        size: In bytes, at least 1.
        purpose: What it is for, in the message when there is not enough.

    Attributes:
        address: Device address, aligned to 256 bytes.
        size: In bytes.

    Raises:
        BackendError: On creation, if the GPU has not enough free memory.
    """

    def __init__(self, size: int, purpose: str) -> None:
        self.size = size
        try:
            self._allocation = cuda.mem_alloc(size)
        except cuda.MemoryError:
            raise BackendError(out_of_memory(size, purpose)) from None
        self.address = int(self._allocation)

    def close(self) -> None:
        """Free the memory. Nothing may be using it any more."""
        self._allocation.free()


class HostBuffer:
    """Pinned host memory, which the GPU copies from and to without the processor.

    Args:
        size: In bytes, at least 1.
        purpose: What it is for, in the message when there is not enough.

    Attributes:
        array: uint8 (size,); no view of it may outlive ``close``.

    Raises:
        BackendError: On creation, if the host has not enough memory to pin.
    """

    def __init__(self, size: int, purpose: str) -> None:
        mapped = cuda.host_alloc_flags.DEVICEMAP
        try:
            self.array: np.ndarray = cuda.pagelocked_empty(size, np.uint8, mem_flags=mapped)
        except cuda.MemoryError:
            raise BackendError(
                f"out of memory: asked for {_mebibytes(size)} of pinned host memory for {purpose}; "
                "expected that much; stop other programs, or use smaller pictures or batches"
            ) from None

    @property
    def device_address(self) -> int:
        """Where a GPU that ``maps_host_memory`` finds the same bytes."""
        return int(self.array.base.get_device_pointer())  # type: ignore[union-attr]

    def close(self) -> None:
        """Free the memory. Nothing may be using it any more."""
        self.array.base.free()  # type: ignore[union-attr]
        self.array = np.empty(0, np.uint8)


class Event:
    """A mark in a stream that others can wait for. One that was never recorded has passed."""

    def __init__(self) -> None:
        self._event: Any = cuda.Event(cuda.event_flags.DISABLE_TIMING)

    def record(self, stream: Stream) -> None:
        """Put the mark behind what ``stream`` has been given so far."""
        self._event.record(stream.pycuda_stream)

    def synchronize(self) -> None:
        """Wait until the mark is reached."""
        self._event.synchronize()

    def delay(self, stream: Stream) -> None:
        """Let what ``stream`` is given from now on begin after the mark; waits for nothing."""
        stream.pycuda_stream.wait_for_event(self._event)

    def close(self) -> None:
        """Destroy the event."""
        self._event = None


class TimingEvent:
    """A mark in a stream that remembers when the GPU came to it, to half a microsecond."""

    def __init__(self) -> None:
        self._event: Any = cuda.Event(cuda.event_flags.DEFAULT)

    def record(self, stream: Stream) -> None:
        """Put the mark behind what ``stream`` has been given so far."""
        self._event.record(stream.pycuda_stream)

    def milliseconds_since(self, earlier: TimingEvent) -> float:
        """Return the GPU's time between two marks; both must have been reached."""
        return float(self._event.time_since(earlier._event))

    def close(self) -> None:
        """Destroy the event."""
        self._event = None


class Stream:
    """A queue of work on the GPU; never the default one, on which everything waits for everything.

    Attributes:
        handle: The CUstream as a number, for TensorRT and kernels.
        pycuda_stream: For ``Event``.
    """

    def __init__(self) -> None:
        self.pycuda_stream: Any = cuda.Stream(NON_BLOCKING_STREAM)
        self.handle = int(self.pycuda_stream.handle)

    def copy_to_device(self, address: int, pinned: np.ndarray) -> None:
        """Enqueue a copy of pinned memory, contiguous, to a device address."""
        cuda.memcpy_htod_async(address, pinned, self.pycuda_stream)

    def copy_to_host(self, pinned: np.ndarray, address: int) -> None:
        """Enqueue a copy from a device address, as long as the pinned memory."""
        cuda.memcpy_dtoh_async(pinned, address, self.pycuda_stream)

    def copy_on_device(self, target: int, source: int, size: int) -> None:
        """Enqueue a copy of ``size`` bytes between two device addresses."""
        cuda.memcpy_dtod_async(target, source, size, self.pycuda_stream)

    def synchronize(self) -> None:
        """Wait until everything is done."""
        self.pycuda_stream.synchronize()

    def close(self) -> None:
        """Wait, then destroy the stream, also when waiting fails."""
        try:
            self.synchronize()
        finally:
            self.pycuda_stream = None


def free_memory() -> int:
    """Return how many bytes of the current GPU's memory are free."""
    return int(cuda.mem_get_info()[0])


def out_of_memory(size: int, purpose: str) -> str:
    """Return the message for memory of the current GPU that could not be had."""
    return (
        f"out of memory: asked for {_mebibytes(size)} of GPU memory for {purpose}, and "
        f"{_mebibytes(free_memory())} are free; expected enough; stop other programs (nvidia-smi; "
        "on a Jetson: tegrastats), or build with a smaller SIZE, a smaller batch or PRECISION=fp16"
    )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
