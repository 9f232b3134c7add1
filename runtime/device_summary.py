"""What samples of a device say about the frames that ran beside them: energy, drift, throttling."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.energy import EnergyMeter
from runtime.latency import Latency
from runtime.measurement import Device, SoakWindow, ThrottlePeriod
from runtime.spans import FrameSpans, counted

# Part of a run in which its p99 is taken: some hundred frames of a camera at least, and no more
# parts than a table can show.
SHORTEST_WINDOW_S = 10.0
MOST_WINDOWS = 60


def summarise_device(
    monitor: DeviceMonitor,
    samples: Sequence[DeviceSample],
    frames: Sequence[FrameSpans],
    window_s: float | None = None,
) -> Device:
    """Return what a device did while frames ran.

    Args:
        monitor: Which took the samples; only its description is read.
        samples: In order of time.
        frames: In order of time; those of the warm-up do not count.
        window_s: How long each part of the run is; a rest of less than half belongs to the last.
            None takes ``SHORTEST_WINDOW_S``, or more for no more than ``MOST_WINDOWS``.

    Raises:
        ValueError: If no frame counts.
    """
    shown = list(counted(frames))
    if not shown:
        raise ValueError("got no frames that count; expected at least one")
    started_ns, ended_ns = shown[0].started_ns, shown[-1].ended_ns
    beside = _samples_beside(samples, started_ns, ended_ns)
    meter = EnergyMeter(samples, monitor.total_rail)
    if window_s is None:
        window_s = max(SHORTEST_WINDOW_S, (ended_ns - started_ns) / 1e9 / MOST_WINDOWS)
    return Device(
        name=monitor.name,
        power_mode=monitor.power_mode,
        power_mw=_means([sample.power_mw for sample in beside]),
        temperatures_c=_highest([sample.temperatures_c for sample in beside]),
        clocks_mhz=_means([sample.clocks_mhz for sample in beside]),
        loads=_means([sample.loads for sample in beside]),
        energy_mj_per_frame=meter.per_frame_mj(shown),
        throttled=_reasons(beside),
        missing=(*monitor.missing, *_energy_faults(monitor, meter, shown)),
        windows=_windows(meter, samples, shown, window_s),
        throttle_periods=throttle_periods(beside, started_ns),
    )


def _energy_faults(
    monitor: DeviceMonitor, meter: EnergyMeter, frames: Sequence[FrameSpans]
) -> list[str]:
    """Return why there is no energy per frame where the device tells its power."""
    fault = meter.fault_of(frames) if monitor.total_rail is not None else ""
    return [fault] if fault else []


def throttle_periods(samples: Sequence[DeviceSample], origin_ns: int) -> tuple[ThrottlePeriod, ...]:
    """Return when each reason held clocks back: from the first sample that says so to the last.

    Args:
        samples: In order of time.
        origin_ns: What times are counted from, of ``time.perf_counter_ns``.
    """
    periods = []
    for reason in _reasons(samples):
        marked = [((s.at_ns - origin_ns) / 1e9, reason in s.throttled) for s in samples]
        for is_active, run in itertools.groupby(marked, key=lambda mark: mark[1]):
            times = [at_s for at_s, _ in run]
            if is_active:
                periods.append(ThrottlePeriod(reason, times[0], times[-1]))
    return tuple(sorted(periods, key=lambda period: period.from_s))


def _windows(
    meter: EnergyMeter,
    samples: Sequence[DeviceSample],
    frames: list[FrameSpans],
    window_s: float,
) -> tuple[SoakWindow, ...]:
    origin_ns, last_ns = frames[0].started_ns, frames[-1].ended_ns
    most = max(1, round((last_ns - origin_ns) / 1e9 / window_s))
    parts: dict[int, list[FrameSpans]] = {}
    for frame in frames:
        index = int((frame.started_ns - origin_ns) / 1e9 / window_s)
        parts.setdefault(min(index, most - 1), []).append(frame)
    windows = []
    for part in parts.values():
        beside = _samples_beside(samples, part[0].started_ns, part[-1].ended_ns)
        hottest = _highest([sample.temperatures_c for sample in beside])
        windows.append(
            SoakWindow(
                started_s=(part[0].started_ns - origin_ns) / 1e9,
                end_to_end=Latency.of([frame.milliseconds for frame in part]),
                energy_mj_per_frame=meter.per_frame_mj(part),
                hottest_c=max(hottest.values(), default=None),
                throttled=_reasons(beside),
            )
        )
    return tuple(windows)


def _samples_beside(
    samples: Sequence[DeviceSample], started_ns: int, ended_ns: int
) -> Sequence[DeviceSample]:
    """Return the samples of a time; of one shorter than an interval the nearest."""
    first = bisect.bisect_left(samples, started_ns, key=_time_of)
    last = bisect.bisect_right(samples, ended_ns, key=_time_of)
    if first < last:
        return samples[first:last]
    around = samples[max(0, first - 1) : first + 1]
    return sorted(around, key=lambda sample: abs(2 * sample.at_ns - started_ns - ended_ns))[:1]


def _time_of(sample: DeviceSample) -> int:
    return sample.at_ns


def _means(readings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in _by_name(readings).items()}


def _highest(readings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: max(values) for name, values in _by_name(readings).items()}


def _by_name(readings: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for reading in readings:
        for name, value in reading.items():
            values.setdefault(name, []).append(value)
    return values


def _reasons(samples: Sequence[DeviceSample]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for sample in samples for reason in sample.throttled))
