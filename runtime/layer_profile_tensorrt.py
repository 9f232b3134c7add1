"""Time per layer from TensorRT's profiler, joined with what the engine inspector tells of layers.

A profiler is told the times of what was enqueued while it was attached; what a CUDA graph repeats
counts only if it was attached before the graph was captured. Here it is attached before the first
run and no graph is made: TensorRT then reports every layer at the end of every run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.backend_tensorrt import TensorRTBackend
from runtime.contract import read_contract
from runtime.cuda_graph import CudaGraph
from runtime.cuda_memory import Stream, open_device
from runtime.engine_inspector import InspectedEngine, read_inspector
from runtime.errors import BackendError
from runtime.jit_cache import JitCache
from runtime.layers import LayerProfile, LayerTime
from runtime.tensorrt_engine import Engine
from runtime.tensorrt_session import Session
from runtime.trt_module import TensorRTModule
from runtime.upload_ring import UploadedFrame, UploadRing


class ProfiledEngine(Engine):
    """An engine whose contexts make no CUDA graphs of their own, and that tells its layers."""

    def inspect(self, api: Any, context: Any) -> str:
        """Return what the engine inspector tells of the layers that a context runs, as JSON.

        Args:
            api: TensorRT's module.
            context: Its input shape is set, so that sizes which the engine leaves open are known.
        """
        inspector = self._engine.create_engine_inspector()
        inspector.execution_context = context
        return str(inspector.get_engine_information(api.LayerInformationFormat.JSON))

    def _runtime_config(self, trt: TensorRTModule) -> tuple[Any, JitCache | None]:
        config, cache = super()._runtime_config(trt)
        if hasattr(trt.api, "CudaGraphStrategy"):
            config.cuda_graph_strategy = trt.api.CudaGraphStrategy.DISABLED
        return config, cache


class ProfiledSession(Session):
    """A session that enqueues every run anew and reports its layers."""

    def attach(self, profiler: Any) -> None:
        """Report from the next run on; keep the profiler as long as the session."""
        self._context.profiler = profiler

    def inspect(self, api: Any, engine: ProfiledEngine) -> str:
        """Return what the inspector tells of the layers, for the shape that was run last."""
        return engine.inspect(api, self._context)

    def _capture(self, enqueue: Callable[[], None]) -> CudaGraph | None:
        return None


class LayerRecorder:
    """Adds up what a profiler is told: milliseconds by layer, run by run."""

    def __init__(self) -> None:
        self.runs: list[dict[str, float]] = []

    def start_run(self) -> None:
        """Begin the next run."""
        self.runs.append({})

    def add(self, layer: str, milliseconds: float) -> None:
        """Count time for a layer, which may run several times in a run."""
        run = self.runs[-1]
        run[layer] = run.get(layer, 0.0) + milliseconds


def profile_tensorrt(
    trt: TensorRTModule, artifact: Path, batches: Sequence[np.ndarray]
) -> LayerProfile:
    """Run an engine with and without a profiler, in turn, and read the time of every layer.

    The engine is in the GPU's memory twice meanwhile.

    Args:
        trt: The TensorRT that is to run it.
        artifact: An engine with its contract.
        batches: One for each run, as ``Backend.infer`` takes them, all of one shape; the first is
            also used to warm up.

    Raises:
        ArtifactError: If the engine does not fit this machine, or is damaged.
        ContractError: If its contract is missing, malformed or of another file.
        BackendError: If memory runs out, or TensorRT tells nothing of layers.
    """
    contract, device, recorder = read_contract(artifact), open_device(), LayerRecorder()
    with contextlib.ExitStack() as cleanup:
        bare = TensorRTBackend(trt)
        cleanup.callback(bare.close)
        bare.open(artifact)
        cleanup.enter_context(device.current())
        engine = ProfiledEngine(trt, artifact, contract, device)
        engine.acquire()
        cleanup.callback(engine.release)
        session = ProfiledSession(engine, contract, device)
        cleanup.callback(session.close)
        session.attach(_profiler(trt.api, recorder))
        uploads = UploadRing(device)
        cleanup.callback(uploads.close)
        times = []
        for batch in [batches[0], *batches]:
            recorder.start_run()
            bare_ms = _milliseconds(lambda: bare.infer(batch))  # noqa: B023 - called at once
            times.append((bare_ms, _milliseconds(lambda: _run(session, uploads, batch))))  # noqa: B023
        text = session.inspect(trt.api, engine)
    # Read only now: an error's traceback would keep the inspector, and with it the GPU's memory.
    inspected = read_inspector(text)
    bare_times, whole_times = zip(*times[1:], strict=True)
    return LayerProfile(
        runtime=f"{trt.product} {trt.version}",
        layers=join_layers(recorder.runs[1:], inspected),
        whole_ms=whole_times,
        bare_ms=bare_times,
        notes=_notes(recorder.runs[-1], inspected),
    )


def join_layers(
    runs: Sequence[dict[str, float]], inspected: InspectedEngine
) -> tuple[LayerTime, ...]:
    """Return the layers of the last run with their times in all runs.

    Args:
        runs: Milliseconds by layer, one entry per run.
        inspected: What is known of the layers.

    Raises:
        BackendError: If there are no layers.
    """
    if not runs[-1]:
        raise BackendError(
            "TensorRT's profiler was told of no layer; expected the time of each; build the engine "
            "again: make engine"
        )
    layers = []
    for name in runs[-1]:
        known = inspected.find(name)
        times = tuple(run.get(name, 0.0) for run in runs)
        layers.append(LayerTime(name, known.kind, known.nodes, known.precision, times))
    return tuple(layers)


def _run(session: Session, uploads: UploadRing, batch: np.ndarray) -> None:
    frame = uploads.upload(batch.shape, lambda pinned: np.copyto(pinned, batch))
    session.infer([(frame, _copy)], batch.shape)


def _copy(frame: UploadedFrame, target: int, stream: Stream) -> None:
    stream.copy_on_device(target, frame.address, frame.size)


def _milliseconds(run: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started) / 1e6


def _profiler(api: Any, recorder: LayerRecorder) -> Any:
    class Profiler(api.IProfiler):  # type: ignore[misc]  # known only once api is loaded
        def __init__(self) -> None:
            super().__init__()

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            recorder.add(layer_name, ms)

    return Profiler()


def _notes(run: dict[str, float], inspected: InspectedEngine) -> tuple[str, ...]:
    """Return what a reader has to know of the profile."""
    notes = [
        "TensorRT ran without a CUDA graph while layers were timed, so that the whole was slower; "
        "the layers' times are those of the GPU."
    ]
    if not inspected.is_detailed:
        notes.append(
            "The engine tells its layers' names only: kinds and types are unknown; build it with "
            "detailed layers: make engine."
        )
    if regions := sum("..." in name for name in run if not inspected.find(name).kind):
        notes.append(f"{regions} layers are regions of which only the first and last node is told.")
    if unknown := sum(not inspected.find(name).nodes for name in run):
        notes.append(
            f"{unknown} layers name no node: TensorRT put them in, mostly to change layouts or "
            "types between others."
        )
    return tuple(notes)
