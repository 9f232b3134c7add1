"""CUDA graphs: a sequence of GPU work, recorded once and launched with one call per frame.

pycuda has no interface to them; these few functions come from the driver's library itself.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from runtime.errors import BackendError

# From cuda.h. Thread-local: other threads may allocate and copy while this one records.
CAPTURE_THREAD_LOCAL = 1


class CudaGraph:
    """Work that was recorded from a stream. Make it with ``capture_graph``.

    It keeps the addresses it was recorded with: the memory must stay where it is.
    """

    def __init__(self, executable: ctypes.c_void_p) -> None:
        self._executable = executable

    def launch(self, stream: int) -> None:
        """Enqueue the work on a stream, given by its handle.

        Raises:
            BackendError: If the driver refuses.
        """
        _call("cuGraphLaunch", self._executable, ctypes.c_void_p(stream))

    def close(self) -> None:
        """Destroy the graph; its work must be done."""
        _call("cuGraphExecDestroy", self._executable)


def capture_graph(stream: int, enqueue: Callable[[], None]) -> CudaGraph:
    """Record what ``enqueue`` gives to a stream, without running it.

    The context of the stream must be current. The same work must have run once before, so that
    what happens only at first (TensorRT loads kernels and allocates) is over.

    Args:
        stream: Handle of a stream, not the default one, with nothing unusual pending.
        enqueue: Gives work to that stream only, and neither waits nor allocates.

    Raises:
        BackendError: If some of the work cannot be recorded. The stream is as before.
    """
    handle, graph = ctypes.c_void_p(stream), ctypes.c_void_p()
    _call("cuStreamBeginCapture_v2", handle, CAPTURE_THREAD_LOCAL)
    try:
        enqueue()
    except BaseException:
        _driver().cuStreamEndCapture(handle, ctypes.byref(graph))  # the stream must leave capture
        _destroy(graph)
        raise
    _call("cuStreamEndCapture", handle, ctypes.byref(graph))
    executable = ctypes.c_void_p()
    try:
        no_flags = ctypes.c_ulonglong(0)
        _call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, no_flags)
    finally:
        _destroy(graph)  # the executable is complete without it
    return CudaGraph(executable)


def _destroy(graph: ctypes.c_void_p) -> None:
    if graph:
        _driver().cuGraphDestroy(graph)


def _call(function: str, *arguments: Any) -> None:
    """Call a function of the driver and turn its status into an error."""
    driver = _driver()
    if not hasattr(driver, function):
        raise BackendError(
            f"the NVIDIA driver has no {function}; expected CUDA 11.4 or later; update the driver"
        )
    status = getattr(driver, function)(*arguments)
    if status:
        name = ctypes.c_char_p()
        driver.cuGetErrorName(status, ctypes.byref(name))
        reason = (name.value or b"unknown error").decode()
        raise BackendError(f"{function} failed ({reason}, {status}); expected success")


@functools.cache
def _driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")
