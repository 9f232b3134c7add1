"""How many frames per second the network takes, by batch size."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from runtime.backend_base import Backend
from runtime.latency import Latency
from runtime.measured_clip import Clip, network_frames
from runtime.measurement import Throughput

WARMUP_RUNS = 2  # of each batch size: memory is laid out anew, a graph recorded
FEWEST_RUNS = 5
MOST_RUNS = 200


def measure_throughput(
    backend: Backend, clip: Clip, batches: Sequence[int], seconds: float
) -> tuple[tuple[Throughput, ...], str]:
    """Run the network on batches of the clip's pictures, one batch after another.

    Args:
        backend: Open; stays open.
        clip: Its first pictures, letterboxed, fill the batches.
        batches: Frames per run.
        seconds: Time for each batch size; five runs are made however long they take.

    Returns:
        One entry for each size that the artifact takes, and in one line why others are left out;
        "" if none is.

    Raises:
        CornerRTError: If a picture cannot be read, or the network fails.
    """
    most = backend.largest_batch
    taken = [batch for batch in batches if most is None or batch <= most]
    entries: tuple[Throughput, ...] = ()
    if taken:
        frames = network_frames(clip, backend.contract.size_hw, max(taken))
        entries = tuple(_measure(backend, frames[:batch], seconds) for batch in taken)
    left_out = [str(batch) for batch in batches if batch not in taken]
    if not left_out:
        return entries, ""
    return entries, (
        f"{backend.contract.name} on {backend.name} takes at most {most} frames per run; batches "
        f"of {', '.join(left_out)} are left out; build it for more: make engine MAX_BATCH="
        f"{max(batches)}"
    )


def _measure(backend: Backend, frames: np.ndarray, seconds: float) -> Throughput:
    for _ in range(WARMUP_RUNS):
        backend.infer(frames)
    samples_ms: list[float] = []
    ends_at = time.monotonic() + seconds
    while len(samples_ms) < FEWEST_RUNS or (
        len(samples_ms) < MOST_RUNS and time.monotonic() < ends_at
    ):
        started_ns = time.perf_counter_ns()
        backend.infer(frames)
        samples_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    latency = Latency.of(samples_ms)
    return Throughput(len(frames), len(frames) * 1e3 / latency.p50_ms, latency)
