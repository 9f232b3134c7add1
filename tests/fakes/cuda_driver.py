"""A GPU in software, with the rules that a real one enforces or punishes.

Streams run nothing until somebody waits for them, as late as a GPU may: a result that is read too
early, or a buffer that is overwritten too early, shows. Memory has bounds, everything needs a
current context in the calling thread, and what must not happen during capture does not.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

Work = Callable[[], None]
MEBIBYTE = 2**20


class CudaFailure(Exception):
    """A status other than success; ``name`` is the driver's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class FakeStream:
    """What was enqueued and has not run yet; ``recording`` while it is captured."""

    flags: int
    pending: list[Work] = field(default_factory=list)
    recording: list[Work] | None = None
    invalidated: bool = False


class FakeDriver:
    """One GPU.

    Args:
        free_bytes: Device memory.
        integrated: Whether it shares memory with the processor.
        devices: 0 for a driver without a GPU.
        refuse: Names of calls that fail, such as "capture", "launch" or "record copy_to_host":
            while a stream is captured only.
        durations_ms: How long the GPU's own clock says that work took, by the call's name.

    Attributes:
        calls: Every call by name, in order.
        alive: Bytes by address of what was allocated on the device and not freed.
        pinned: Bytes by address of pinned host memory that was not freed.
    """

    def __init__(
        self,
        free_bytes: int = 256 * MEBIBYTE,
        integrated: bool = False,
        devices: int = 1,
        refuse: frozenset[str] = frozenset(),
        durations_ms: Mapping[str, float] | None = None,
    ) -> None:
        self.durations_ms = dict(durations_ms or {})
        self.clock_ms = 0.0
        self.free_bytes = free_bytes
        self.integrated = integrated
        self.devices = devices
        self.refuse = refuse
        self.calls: list[str] = []
        self.alive: dict[int, np.ndarray] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.streams: dict[int, FakeStream] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.capturing_thread: int | None = None
        self.numbers = itertools.count(0x1000)
        self._addresses = itertools.count(0x7000_0000, 0x100_0000)
        self._contexts = threading.local()
        self._lock = threading.RLock()

    @property
    def is_empty(self) -> bool:
        """Whether everything was given back, and no context is current in this thread."""
        return not (self.alive or self.pinned or self.streams or self.graphs or self.stack)

    # --- contexts

    @property
    def stack(self) -> list[object]:
        """The calling thread's contexts, the last one current."""
        if not hasattr(self._contexts, "stack"):
            self._contexts.stack = []
        stack: list[object] = self._contexts.stack
        return stack

    @contextmanager
    def call(self, name: str):  # type: ignore[no-untyped-def]
        """Check what every call needs, and count it."""
        with self._lock:
            self.calls.append(name)
            if not self.stack:
                raise CudaFailure("CUDA_ERROR_INVALID_CONTEXT")
            if name in self.refuse:
                raise CudaFailure("CUDA_ERROR_UNKNOWN")
            yield

    def destroy(self, function: Callable[[int], None], what: int) -> None:
        """Free from a destructor: what a broken GPU refuses is lost, a missing context is ours."""
        try:
            function(what)
        except CudaFailure as failure:
            if failure.name == "CUDA_ERROR_INVALID_CONTEXT":
                raise

    # --- memory

    def allocate(self, size: int) -> int:
        with self.call("allocate"):
            self.forbid_while_capturing()
            if size > self.free_bytes:
                raise CudaFailure("CUDA_ERROR_OUT_OF_MEMORY")
            self.free_bytes -= size
            address = next(self._addresses)
            self.alive[address] = np.full(size, 0xCD, np.uint8)  # undefined, so not zero
            return address

    def allocate_pinned(self, size: int) -> tuple[int, np.ndarray]:
        with self.call("allocate_pinned"):
            self.forbid_while_capturing()
            if "pin" in self.refuse:
                raise CudaFailure("CUDA_ERROR_OUT_OF_MEMORY")
            address = next(self._addresses)
            self.pinned[address] = np.full(size, 0xCD, np.uint8)
            return address, self.pinned[address]

    def free(self, address: int) -> None:
        with self.call("free"):
            self.finish_everything()  # cuMemFree waits for the device
            self.free_bytes += self.alive.pop(address).size

    def free_pinned(self, address: int) -> None:
        with self.call("free_pinned"):
            self.finish_everything()
            self.pinned.pop(address)[:] = 0xDD  # whoever still looks at it sees nonsense

    def memory(self, address: int, size: int) -> np.ndarray:
        """Return ``size`` bytes of device memory, or of pinned memory that the GPU can see."""
        for start, block in (*self.alive.items(), *self.pinned.items()):
            if start <= address and address + size <= start + block.size:
                return block[address - start : address - start + size]
        raise CudaFailure("CUDA_ERROR_ILLEGAL_ADDRESS")

    def is_pinned(self, array: np.ndarray) -> bool:
        return any(np.shares_memory(array, block) for block in self.pinned.values())

    # --- streams

    def make_stream(self, flags: int) -> int:
        with self.call("make_stream"):
            handle = next(self.numbers)
            self.streams[handle] = FakeStream(flags)
            return handle

    def destroy_stream(self, handle: int) -> None:
        with self.call("destroy_stream"):
            del self.streams[handle]

    def enqueue_call(self, name: str, handle: int, work: Work) -> None:
        """Enqueue what a call asks for."""
        with self.call(name):
            stream = self.streams[handle]
            if stream.recording is not None and f"record {name}" in self.refuse:
                stream.invalidated = True
                raise CudaFailure("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
            self.enqueue(handle, self._timed(name, work))

    def _timed(self, name: str, work: Work) -> Work:
        """Return work that moves the GPU's clock on."""

        def run() -> None:
            work()
            self.clock_ms += self.durations_ms.get(name, 0.0)

        return run

    def enqueue(self, handle: int, work: Work) -> None:
        if not handle:
            raise AssertionError("work on the default stream")
        stream = self.streams[handle]
        if stream.recording is not None:
            stream.recording.append(work)
        else:
            stream.pending.append(work)

    def synchronize(self, handle: int) -> None:
        with self.call("synchronize"):
            stream = self.streams[handle]
            if stream.recording is not None:
                stream.invalidated = True
                raise CudaFailure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
            self.finish(stream)

    def finish(self, stream: FakeStream) -> None:
        while stream.pending:
            stream.pending.pop(0)()

    def finish_everything(self) -> None:
        for stream in self.streams.values():
            self.finish(stream)

    # --- capture

    def forbid_while_capturing(self) -> None:
        """What a thread must not do while it captures in thread-local mode."""
        if self.capturing_thread == threading.get_ident():
            for stream in self.streams.values():
                stream.invalidated |= stream.recording is not None
            raise CudaFailure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")

    def begin_capture(self, handle: int, mode: int) -> None:
        with self.call("begin_capture"):
            assert mode == 1, "other threads allocate meanwhile: expected thread-local capture"
            self.streams[handle].recording = []
            self.capturing_thread = threading.get_ident()

    def end_capture(self, handle: int) -> int:
        with self.call("end_capture"):
            stream = self.streams[handle]
            work, stream.recording, self.capturing_thread = stream.recording, None, None
            if stream.invalidated or work is None or "capture" in self.refuse:
                stream.invalidated = False
                raise CudaFailure("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
            return self._keep(work)

    def instantiate(self, graph: int) -> int:
        with self.call("instantiate"):
            return self._keep(self.graphs[graph])

    def launch(self, graph: int, handle: int) -> None:
        with self.call("launch"):
            for work in self.graphs[graph]:
                self.enqueue(handle, work)

    def destroy_graph(self, graph: int) -> None:
        with self.call("destroy_graph"):
            del self.graphs[graph]

    def _keep(self, work: list[Work]) -> int:
        number = next(self.numbers)
        self.graphs[number] = work
        return number


class FakeLibcuda:
    """The few functions of libcuda.so.1 that are called through ctypes.

    Args:
        missing: Functions that an older driver lacks.
    """

    def __init__(self, driver: FakeDriver, missing: frozenset[str] = frozenset()) -> None:
        self._driver = driver
        functions = {
            "cuStreamBeginCapture_v2": lambda s, mode: driver.begin_capture(s.value, mode),
            "cuStreamEndCapture": lambda s, out: self._give(out, driver.end_capture(s.value)),
            "cuGraphInstantiateWithFlags": lambda out, graph, flags: self._give(
                out, driver.instantiate(graph.value)
            ),
            "cuGraphLaunch": lambda graph, s: driver.launch(graph.value, s.value),
            "cuGraphDestroy": lambda graph: driver.destroy_graph(graph.value),
            "cuGraphExecDestroy": lambda graph: driver.destroy_graph(graph.value),
        }
        self._names: list[str] = []
        for name, function in functions.items():
            if name not in missing:
                setattr(self, name, self._with_status(function))

    def cuGetErrorName(self, status: int, out: object) -> int:
        self._give(out, self._names[status - 1].encode())
        return 0

    @staticmethod
    def _give(pointer: object, value: object) -> None:
        pointer._obj.value = value  # type: ignore[attr-defined]

    def _with_status(self, function: Callable[..., None]) -> Callable[..., int]:
        def run(*arguments: object) -> int:
            try:
                function(*arguments)
            except CudaFailure as failure:
                self._names.append(failure.name)
                return len(self._names)
            return 0

        return run
