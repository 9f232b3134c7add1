"""Time engines against each other on the GPU at hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from runtime.backend_base import Backend
from runtime.backends import open_backend

Key = TypeVar("Key")

ROUNDS = 9
FRAMES = 20  # per engine and round: a frame of a small network takes well under a millisecond


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
