"""Whether the plugin or standard operators decode faster, measured on the GPU at hand."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from export.build_engine import BuildRequest, BuildResult, build_engine
from export.tensorrt_options import DecodeForm
from runtime.atomic_file import folder_lock
from runtime.backend_base import Backend
from runtime.backends import open_backend
from runtime.contract import contract_path, write_contract

Key = TypeVar("Key")

ROUNDS = 9
FRAMES = 20  # per engine and round: a frame of a small network takes well under a millisecond


def build_fastest(request: BuildRequest) -> BuildResult:
    """Build with either form of decoding, run both, and keep the one that takes less time.

    Raises:
        BackendError: If such engines cannot run here; and all that ``build_engine`` raises.
    """
    requests = {
        form: replace(
            request,
            out=request.out.with_name(f"{request.out.name}.{form.value}"),
            options=replace(request.options, decode=form),
        )
        for form in (DecodeForm.PLUGIN, DecodeForm.GRAPH)
    }
    try:
        results = {form: build_engine(trial) for form, trial in requests.items()}
        times_ms = time_engines({form: trial.out for form, trial in requests.items()})
        fastest = min(times_ms, key=lambda form: times_ms[form])
        result = results[fastest]
        with folder_lock(request.out.parent):
            os.replace(requests[fastest].out, request.out)
            write_contract(result.contract, request.out)
    finally:
        for trial in requests.values():
            trial.out.unlink(missing_ok=True)
            contract_path(trial.out).unlink(missing_ok=True)
    shown = ", ".join(f"{form.value} {time_ms:.3f} ms" for form, time_ms in times_ms.items())
    return replace(result, summary=f"{result.summary}; decode by {fastest.value} ({shown})")


def time_engines(engines: Mapping[Key, Path], rounds: int = ROUNDS) -> dict[Key, float]:
    """Run engines in turn on one frame of noise.

    Args:
        engines: Artifacts of one model.
        rounds: Turns of every engine, after one that does not count.

    Returns:
        Milliseconds per frame, host memory to host memory: the median over the rounds.

    Raises:
        CornerRTError: If one cannot be opened here.
    """
    times_ms: dict[Key, list[float]] = {key: [] for key in engines}
    with contextlib.ExitStack() as cleanup:
        backends = {}
        for key, engine in engines.items():
            backends[key] = open_backend(engine)
            cleanup.callback(backends[key].close)
        for index in range(rounds + 1):
            for key, backend in backends.items():
                time_ms = _run(backend)
                if index:
                    times_ms[key].append(time_ms)
    return {key: median(values) for key, values in times_ms.items()}


def _run(backend: Backend) -> float:
    """Return milliseconds per frame of one turn."""
    shape = (1, *backend.contract.size_hw, 3)
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    started_ns = time.perf_counter_ns()
    for _ in range(FRAMES):
        backend.infer(frame)
    return (time.perf_counter_ns() - started_ns) / 1e6 / FRAMES
