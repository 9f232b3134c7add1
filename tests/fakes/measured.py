"""Measurements with chosen frame times and everything else plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runtime.latency import Latency, histogram_of
from runtime.measurement import Device, Journey, Measurement, Memory, Run, StageLatency

Rounds = Sequence[Sequence[float]]
MIB = 2**20
MACHINE = {
    "cpu": "Example CPU",
    "cores": 2,
    "memory_gib": 8.0,
    "gpu": "none used",
    "system": "Linux",
    "python": "3.11.0",
    "libraries": {"numpy": "2.4.6"},
}
SETTINGS = {"frames": "clip.mp4", "threads": 2, "rounds": 10}


def stage_of(name: str, rounds: Rounds) -> StageLatency:
    """Return a stage with these milliseconds per frame, by round."""
    times = np.concatenate([np.asarray(one, np.float64) for one in rounds])
    kept = tuple(tuple(one) for one in rounds)
    return StageLatency(name, Latency.of(times), histogram_of(times), kept)


def run_of(rounds: Rounds, artifact: str = "nano.onnx", network_share: float = 0.9) -> Run:
    """Return a run with these end-to-end milliseconds per frame, by round."""
    whole = stage_of("", rounds)
    network = stage_of("network", [[ms * network_share for ms in one] for one in rounds])
    draw = stage_of("draw", [[ms * (1 - network_share) for ms in one] for one in rounds])
    return Run(
        artifact=artifact,
        sha256="0" * 64,
        model="cornernet-nano",
        size_hw=(320, 320),
        precision="int8",
        backend="onnxruntime",
        frames=whole.latency.count,
        journey=Journey(
            stages=(network, draw),
            end_to_end=whole.latency,
            histogram=whole.histogram,
            bare=network.latency,
            decode_ms=None,
            warmup_ms=(),
            rounds_ms=whole.rounds_ms,
        ),
        live=None,
        throughput=(),
        cold_start=None,
        memory=Memory(100 * MIB, 140 * MIB, 200 * MIB, None, None),
        layers=None,
        device=None,
    )


def in_power_mode(run: Run, mode: str) -> Run:
    """Return a run on a device in a power mode."""
    device = Device("board", mode, {}, {}, {}, {}, None, (), (), ())
    return replace(run, device=device)


def measurement_of(*runs: Run) -> Measurement:
    """Return a measurement of runs."""
    return Measurement("measure.py", "2026-11-22T12:00:00+00:00", MACHINE, SETTINGS, runs, ())
