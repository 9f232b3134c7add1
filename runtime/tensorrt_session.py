"""One execution context with a stream and buffers of its own: what one camera needs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runtime.contract import ModelContract
from runtime.cuda_graph import CudaGraph, capture_graph
from runtime.cuda_memory import Device, DeviceBuffer, HostBuffer, Stream
from runtime.errors import BackendError
from runtime.tensorrt_engine import Engine
from runtime.tensorrt_timing import FrameTimer
from runtime.upload_ring import UploadedFrame

# Outputs start at multiples of this many bytes, as memory of their own would.
ALIGNMENT = 256

# Brings a frame to the address of the network's input, on a stream.
PlaceInput = Callable[[UploadedFrame, int, Stream], None]


@dataclass(frozen=True)
class _Plan:
    """How the input shape that is set is run.

    Attributes:
        shape: Of the input.
        outputs: Where each output appears in pinned memory.
        graph: The whole enqueue, recorded; None where it is enqueued anew each time.
        network_graph: The same without the copy back; None where there is none yet.
        is_timed: Whether ``infer_timed`` has tried to record that.
    """

    shape: tuple[int, ...]
    outputs: dict[str, np.ndarray]
    graph: CudaGraph | None
    network_graph: CudaGraph | None = None
    is_timed: bool = False


class Session:
    """Runs an engine, from one thread at a time. A frame allocates no memory on the GPU.

    All outputs lie in one piece of device memory, which comes back with one copy.

    Args:
        engine: May be shared with other sessions.
        contract: Of the engine.
        device: Where the engine is; its context must be current here and in every call.

    Raises:
        BackendError: On creation, if memory runs out.
    """

    def __init__(self, engine: Engine, contract: ModelContract, device: Device) -> None:
        self._engine = engine
        self._device = device
        self._input_name = contract.inputs[0].name
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in contract.outputs}
        self._plan: _Plan | None = None
        with contextlib.ExitStack() as cleanup:
            self._context = engine.create_context()
            cleanup.callback(self._drop_context)
            self._stream = Stream()
            cleanup.callback(self._stream.close)
            self._timer = FrameTimer()
            cleanup.callback(self._timer.close)
            self._allocate(cleanup)
            self._cleanup = cleanup.pop_all()

    def infer(
        self, parts: Sequence[tuple[UploadedFrame, PlaceInput]], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """Run the network on what was uploaded and wait for the result.

        Args:
            parts: One for each frame of the input from the first on: an upload, held by the caller
                until this returns, and what enqueues bringing it to its place. One upload may also
                bring all frames.
            shape: Of the network's input; frames without a part are what they were before.

        Returns:
            New arrays by output name.

        Raises:
            BackendError: If the engine was not built for ``shape``, or fails.
        """
        plan = self._plan if self._plan and self._plan.shape == shape else self._make_plan(shape)
        frame_bytes = int(np.prod(shape[1:]))
        for index, (upload, place) in enumerate(parts):
            upload.arrived.delay(self._stream)
            place(upload, self._input.address + index * frame_bytes, self._stream)
        if plan.graph is not None:
            plan.graph.launch(self._stream.handle)
        else:
            self._enqueue()
        self._stream.synchronize()
        return {name: pinned.copy() for name, pinned in plan.outputs.items()}

    def infer_timed(
        self, upload: UploadedFrame, place: PlaceInput, shape: tuple[int, ...]
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Run one frame as ``infer`` does, with marks between its parts.

        The graph that ``infer`` launches holds the copy of the outputs as well, and time inside a
        graph cannot be told apart. Here the network alone is a graph, and the copy is enqueued
        behind it: some microseconds more. Where ``infer`` uses no graph this does not either, and
        "network" holds the time that the GPU waits for the network's launches, as it does there.

        Args:
            upload: The picture, held by the caller until this returns.
            place: Enqueues bringing it to the network's input.
            shape: Of the network's input, one frame.

        Returns:
            New arrays by output name, and milliseconds by ``tensorrt_timing.INTERVALS``.

        Raises:
            BackendError: As ``infer`` does.
        """
        plan = self._plan if self._plan and self._plan.shape == shape else self._make_plan(shape)
        if not plan.is_timed:
            graph = None if plan.graph is None else self._capture(self._execute)
            plan = self._plan = replace(plan, network_graph=graph, is_timed=True)
        timer, stream = self._timer, self._stream
        timer.mark(0, stream)
        upload.arrived.delay(stream)
        timer.mark(1, stream)
        place(upload, self._input.address, stream)
        timer.mark(2, stream)
        if plan.network_graph is not None:
            plan.network_graph.launch(stream.handle)
        else:
            self._execute()
        timer.mark(3, stream)
        stream.copy_to_host(self._results.array, self._outputs.address)
        timer.mark(4, stream)
        stream.synchronize()
        outputs = {name: pinned.copy() for name, pinned in plan.outputs.items()}
        return outputs, timer.milliseconds()

    def close(self) -> None:
        """Wait, then free everything but the engine, the latest made first."""
        with self._cleanup as cleanup:
            cleanup.callback(self._drop_plan)
            cleanup.callback(self._stream.synchronize)

    def _drop_context(self) -> None:
        self._context = None

    def _drop_plan(self) -> None:
        plan, self._plan = self._plan, None
        for graph in (plan.graph, plan.network_graph) if plan is not None else ():
            if graph is not None:
                graph.close()

    def _allocate(self, cleanup: contextlib.ExitStack) -> None:
        """Make buffers for the largest shape and tell the context where they are, once."""
        largest = self._engine.largest_shape(self._input_name)
        self._set_shape(largest)
        self._input = DeviceBuffer(int(np.prod(largest)), "the network's input")
        cleanup.callback(self._input.close)
        self._offsets, size = self._lay_out_outputs()
        self._outputs = DeviceBuffer(size, "the network's outputs")
        cleanup.callback(self._outputs.close)
        self._results = HostBuffer(size, "the network's outputs")
        cleanup.callback(self._results.close)
        self._set_address(self._input_name, self._input.address)
        for name, offset in self._offsets.items():
            self._set_address(name, self._outputs.address + offset)

    def _lay_out_outputs(self) -> tuple[dict[str, int], int]:
        """Return where each output starts, and how many bytes all take."""
        offsets, end = {}, 0
        for name, dtype in self._dtypes.items():
            offsets[name] = end
            size = int(np.prod(self._shape_of(name))) * dtype.itemsize
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return offsets, end

    def _make_plan(self, shape: tuple[int, ...]) -> _Plan:
        """Run a shape for the first time, on whatever the input holds, and record it.

        A graph is only good for the shape that the context had and has: the one before goes.
        """
        self._drop_plan()
        self._set_shape(shape)
        self._enqueue()  # TensorRT does things now that cannot be recorded
        self._stream.synchronize()
        outputs = {name: self._pinned_output(name) for name in self._dtypes}
        graph = None if self._engine.launches_graphs else self._capture(self._enqueue)
        self._plan = _Plan(shape, outputs, graph)
        return self._plan

    def _capture(self, enqueue: Callable[[], None]) -> CudaGraph | None:
        try:
            with self._device.current():  # so that an error of pycuda is caught here as well
                return capture_graph(self._stream.handle, enqueue)
        except BackendError as error:
            print(f"notice: no CUDA graph, so somewhat slower ({error})", file=sys.stderr)
            return None

    def _enqueue(self) -> None:
        """Enqueue the network and the copy of its outputs back to the host."""
        self._execute()
        self._stream.copy_to_host(self._results.array, self._outputs.address)

    def _execute(self) -> None:
        """Enqueue the network."""
        if not self._context.execute_async_v3(self._stream.handle):
            raise BackendError(
                f"the engine failed ({self._engine.reasons()}); expected it to run; build again: "
                "make engine"
            )

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        if not self._context.set_input_shape(self._input_name, shape):
            largest = self._engine.largest_shape(self._input_name)
            raise BackendError(
                f"the engine refused an input of {shape} ({self._engine.reasons()}); it was built "
                f"for at most {largest}; give it less, or build it for more: --batch 1 1 LARGEST"
            )

    def _set_address(self, name: str, address: int) -> None:
        if not self._context.set_tensor_address(name, address):
            raise BackendError(
                f"the engine refused an address for {name!r} ({self._engine.reasons()}); expected "
                "it to be accepted; build again: make engine"
            )

    def _shape_of(self, name: str) -> tuple[int, ...]:
        """Return an output's shape for the input shape that is set."""
        return tuple(int(size) for size in self._context.get_tensor_shape(name))

    def _pinned_output(self, name: str) -> Any:
        """Return an output, for the input shape that is set, as a view of the pinned memory."""
        shape, dtype, start = self._shape_of(name), self._dtypes[name], self._offsets[name]
        size = int(np.prod(shape)) * dtype.itemsize
        return self._results.array[start : start + size].view(dtype).reshape(shape)
