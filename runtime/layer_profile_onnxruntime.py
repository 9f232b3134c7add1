"""Time per layer from ONNX Runtime's own profiler, joined with the nodes of the file."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from runtime.backend_onnxruntime import OnnxRuntimeBackend
from runtime.errors import BackendError
from runtime.layer_sources import find_sources
from runtime.layers import LayerProfile, LayerTime
from runtime.onnx_nodes import OnnxNodes, read_onnx_nodes
from runtime.onnxruntime_trace import Trace, TracedNode, read_trace


class ProfiledBackend(OnnxRuntimeBackend):
    """The same session as that of frames, with the profiler on.

    Args:
        threads: CPU threads used inside one operator.
        folder: Where the profiler writes its file.
    """

    def __init__(self, threads: int, folder: Path) -> None:
        super().__init__(threads)
        self._folder = folder

    def _options(self) -> onnxruntime.SessionOptions:
        options = super()._options()
        options.enable_profiling = True
        options.profile_file_prefix = str(self._folder / "layers")
        return options

    def end_profiling(self) -> list[dict[str, Any]]:
        """Stop the profiler and return its events."""
        if self._session is None:
            raise BackendError("no artifact is open; call open() first")
        path = Path(self._session.end_profiling())
        events: list[dict[str, Any]] = json.loads(path.read_bytes())
        return events


def profile_onnxruntime(
    artifact: Path, threads: int, batches: Sequence[np.ndarray]
) -> LayerProfile:
    """Run an artifact with and without the profiler, in turn, and read the time of every layer.

    The model is in memory twice meanwhile.

    Args:
        artifact: An ONNX file with its contract.
        threads: CPU threads used inside one operator.
        batches: One for each run, as ``Backend.infer`` takes them; the first is also used to warm
            up.

    Raises:
        ArtifactError: If the artifact cannot be loaded.
        ContractError: If its contract is missing, malformed or of another file.
        BackendError: If the profiler did not record every run.
    """
    nodes = read_onnx_nodes(artifact)
    bare = OnnxRuntimeBackend(threads)
    with tempfile.TemporaryDirectory(prefix="cornerrt-layers-") as folder:
        profiled = ProfiledBackend(threads, Path(folder))
        try:
            bare.open(artifact)
            profiled.open(artifact)
            times = [
                (_timed(bare, batch), _timed(profiled, batch)) for batch in [batches[0], *batches]
            ][1:]
            events = profiled.end_profiling()
        finally:
            bare.close()
            profiled.close()
    bare_ms, whole_ms = zip(*times, strict=True)
    trace = read_trace(events, len(batches), float(np.median(np.subtract(whole_ms, bare_ms))))
    layers = join_layers(trace, nodes)
    return LayerProfile(
        runtime=f"onnxruntime {onnxruntime.__version__}",
        layers=layers,
        whole_ms=whole_ms,
        bare_ms=bare_ms,
        notes=_notes(layers, trace),
    )


def join_layers(trace: Trace, model: OnnxNodes) -> tuple[LayerTime, ...]:
    """Return a layer for each node of the last run, with its time in every run.

    Args:
        trace: Of a session.
        model: The file that the session opened.
    """
    times: dict[TracedNode, list[float]] = {}
    for run in trace.runs:
        for timed in run:
            times.setdefault(timed.node, []).append(timed.milliseconds)
    last = trace.runs[-1]
    sources = find_sources(model, [(timed.node.name, timed.node.kind) for timed in last])
    return tuple(
        LayerTime(
            timed.node.name, timed.node.kind, nodes, timed.precision, tuple(times[timed.node])
        )
        for timed, nodes in zip(last, sources, strict=True)
    )


def _timed(backend: OnnxRuntimeBackend, batch: np.ndarray) -> float:
    started = time.perf_counter_ns()
    backend.infer(batch)
    return (time.perf_counter_ns() - started) / 1e6


def _notes(layers: Sequence[LayerTime], trace: Trace) -> tuple[str, ...]:
    """Return what a reader has to know of the profile."""
    notes = []
    if loops := trace.in_loops:
        kinds, count = ", ".join(sorted({loop.kind for loop in loops})), sum(loops.values())
        notes.append(
            f"{count} of the {trace.events} events that ONNX Runtime's profiler records in a run "
            f"lie in {len(loops)} loops ({kinds}). The time it spends on them, about "
            f"{count * trace.event_ms:.2f} ms, is taken out: the loops' times are estimates."
        )
    if unknown := [layer for layer in layers if not layer.nodes]:
        kinds = ", ".join(sorted({layer.kind for layer in unknown}))
        notes.append(
            f"{len(unknown)} layers ({kinds}) come from ONNX Runtime, which does not say for which "
            "nodes: changes of layout, and what it inlines from a file that was not built for it."
        )
    return tuple(notes)
