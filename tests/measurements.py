"""Valid measurements, as ``measure.py`` makes them, for tests of what reads them.

Every part has the shape of a real one: a stage's times add up to the whole frame's, histograms hold
as many values as latencies count, layers share the network's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runtime.latency import Latency, histogram_of
from runtime.layers import LayerProfile, LayerTime
from runtime.measurement import (
    ColdStart,
    Comparison,
    Device,
    Journey,
    Live,
    Measurement,
    Memory,
    Run,
    SoakWindow,
    StageLatency,
    Throughput,
)

FRAMES = 200
STAGE_MEANS_MS = {
    "capture": 1.1,
    "letterbox": 0.4,
    "network": 8.0,
    "soft-NMS": 0.2,
    "draw": 0.6,
    "publish": 0.3,
}
BETWEEN_MS = 0.05  # between the stages, per frame


def series(mean_ms: float, frames: int = FRAMES, seed: int = 0) -> np.ndarray:
    """Return times with a tail, as machines show: two in a hundred take three times as long."""
    generator = np.random.default_rng(seed)
    values = mean_ms * generator.lognormal(0.0, 0.08, frames)
    values[:: max(2, frames // 4)] *= 3
    return np.asarray(values * mean_ms / values.mean())


def latency(mean_ms: float, frames: int = FRAMES, seed: int = 0) -> Latency:
    """Return a latency of exactly this mean."""
    return Latency.of(series(mean_ms, frames, seed))


def journey(
    stage_means_ms: Mapping[str, float] = STAGE_MEANS_MS,
    bare_ms: float = 7.5,
    frames: int = FRAMES,
    **changes: Any,
) -> Journey:
    """Return frames whose stages have these means; the whole takes ``BETWEEN_MS`` more."""
    times = {
        stage: series(mean, frames, seed)
        for seed, (stage, mean) in enumerate(stage_means_ms.items())
    }
    whole = np.sum(list(times.values()), axis=0) + BETWEEN_MS
    stages = tuple(
        StageLatency(stage, Latency.of(values), histogram_of(values))
        for stage, values in times.items()
    )
    made = Journey(
        stages=stages,
        end_to_end=Latency.of(whole),
        histogram=histogram_of(whole),
        bare=latency(bare_ms, frames, 99),
        decode_ms=1.2,
        warmup_ms=(48.0, 14.0, 11.0, 10.8, 10.7),
    )
    return replace(made, **changes)


def live(age_ms: float = 16.0, **changes: Any) -> Live:
    """Return frames at a camera's pace."""
    return replace(Live(30.0, latency(age_ms, 290), results=290, dropped=10), **changes)


def throughputs(
    bare_ms: float = 7.5, batches: Sequence[int] = (1, 2, 4, 8)
) -> tuple[Throughput, ...]:
    """Return runs that gain a little with the batch."""
    found = []
    for batch in batches:
        of_batch = latency(bare_ms * batch**0.9, 40, batch)
        found.append(Throughput(batch, 1000 * batch / of_batch.p50_ms, of_batch))
    return tuple(found)


def layer_profile(whole_ms: float = 7.5, runs: int = 20) -> LayerProfile:
    """Return 30 layers: convolutions in modules, a fused one, one of the runtime's own."""
    shares = np.linspace(3, 1, 30)
    shares *= 0.97 / shares.sum()
    layers = []
    for index, share in enumerate(shares.tolist()):
        module = f"hourglass.up{index // 10}.{index % 10}"
        nodes = (f"{module}.conv1/Conv", f"{module}.conv1/Relu")
        layers.append(
            LayerTime(
                f"fused_{index}",
                "QLinearConv" if index % 3 else "Conv",
                nodes if index else (),
                "int8" if index % 3 else "fp32",
                tuple(series(whole_ms * share, runs, index).tolist()),
            )
        )
    return LayerProfile("onnxruntime 1.31.1", tuple(layers), tuple(series(whole_ms, runs).tolist()))


def soak_windows(count: int = 6, throttled_from: int = 4) -> tuple[SoakWindow, ...]:
    """Return a run that warms up and is held back from one window on."""
    windows = []
    for index in range(count):
        is_held_back = index >= throttled_from
        of_window = latency(14.0 if is_held_back else 10.6 + 0.05 * index, 100, index)
        reasons = ("gpu-throttle-alert",) if is_held_back else ()
        windows.append(
            SoakWindow(60.0 * index, of_window, 120.0 + index, 55.0 + 5 * index, reasons)
        )
    return tuple(windows)


def device(**changes: Any) -> Device:
    """Return a board that tells everything but one rail."""
    made = Device(
        name="Jetson Orin Nano (sysfs)",
        power_mode="15W",
        power_mw={"VDD_IN": 9800.0, "VDD_CPU_GPU_CV": 3200.0, "VDD_SOC": 1900.0},
        temperatures_c={"cpu-thermal": 61.5, "gpu-thermal": 63.0, "tj-thermal": 64.2},
        clocks_mhz={"gpu": 611.0, "emc": 2133.0, "cpu0": 1510.0},
        loads={"gpu": 0.83, "emc": 0.41},
        energy_mj_per_frame=122.5,
        throttled=("gpu-throttle-alert",),
        missing=("power rail CV0: no permission to read in1_input; run as root",),
        windows=soak_windows(),
    )
    return replace(made, **changes)


def run(artifact: str = "build/nano-320x320-int8.onnxruntime.onnx", **changes: Any) -> Run:
    """Return everything about one artifact."""
    made = Run(
        artifact=artifact,
        sha256="0123456789abcdef" * 4,
        model="cornernet-nano",
        size_hw=(320, 320),
        precision="int8",
        backend="onnxruntime",
        frames=FRAMES,
        journey=journey(),
        live=live(),
        throughput=throughputs(),
        cold_start=ColdStart(imports_ms=310.0, open_ms=420.0, first_frame_ms=14.0),
        memory=Memory(90 * 2**20, 130 * 2**20, 142 * 2**20, None, None),
        layers=layer_profile(),
        device=device(),
    )
    return replace(made, **changes)


def least_run(artifact: str = "tiny.onnx", **changes: Any) -> Run:
    """Return a run of which nothing was asked but the frames."""
    nothing = dict.fromkeys(("live", "cold_start", "memory", "layers", "device"))
    bare_journey = journey(decode_ms=None, warmup_ms=())
    return run(artifact, **{**nothing, "throughput": (), "journey": bare_journey, **changes})


def comparison(artifact: str, baseline: str, ratio: float = 0.6, **changes: Any) -> Comparison:
    """Return a ratio with an interval of 5 % to both sides."""
    low, high = 0.95 * ratio, 1.05 * ratio
    verdict = "faster" if high < 1 else "slower" if low > 1 else "no difference shown"
    return replace(Comparison(artifact, baseline, "p50", ratio, low, high, verdict), **changes)


def measurement(*runs: Run, **changes: Any) -> Measurement:
    """Return one call of the command; of one complete run unless others are given."""
    runs = runs or (run(),)
    first = runs[0].artifact
    compared = tuple(
        comparison(other.artifact, first, ratio, figure=figure)
        for other in runs[1:]
        for figure, ratio in (("p50", 1.62), ("p99", 1.02))
    )
    made = Measurement(
        command=f"python runtime/measure.py {' '.join(each.artifact for each in runs)}",
        started="2026-11-22T10:00:00+00:00",
        machine={
            "cpu": "AMD EPYC",
            "cores": 2,
            "memory_gib": 15.6,
            "gpu": "none used",
            "system": "Debian GNU/Linux 12, 6.1, x86_64",
            "python": "3.11.2",
            "libraries": {"numpy": "2.4.0", "onnxruntime": "1.31.1"},
        },
        settings={"frames": "build/demo/clip.mp4", "warmup": 5, "threads": 2, "score": 0.3},
        runs=runs,
        comparisons=compared,
    )
    return replace(made, **changes)
