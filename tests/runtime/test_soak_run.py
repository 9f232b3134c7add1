"""A long run, made short: the device's figures by window."""

from __future__ import annotations

import time
from typing import Any

from runtime.device_samples import DeviceSample
from runtime.measure_rounds import FRAMES_TO_SETTLE
from runtime.soak_run import NoSensors, run_soak
from runtime.spans import FrameSpans, Span


class Frames:
    """Frames of 5 ms."""

    def __init__(self) -> None:
        self.count = self.settled = 0

    def next_frame(self, is_warmup: bool = False) -> FrameSpans:
        started_ns = time.perf_counter_ns()
        time.sleep(0.005 + 0.3 * is_warmup)
        ended_ns = time.perf_counter_ns()
        self.count += not is_warmup
        self.settled += is_warmup
        span = Span("network", started_ns, ended_ns)
        return FrameSpans(self.count - 1, is_warmup, (span,), started_ns, ended_ns)


class WarmDevice(NoSensors):
    """Tells its power and temperature."""

    name = "Fake board"
    total_rail = "VDD_IN"
    missing = ()

    def sample(self) -> DeviceSample:
        return DeviceSample(time.perf_counter_ns(), {"VDD_IN": 10_000.0}, {"tj": 61.0})


def test_a_soak_tells_energy_heat_and_latency_together() -> None:
    frames: Any = Frames()
    device = run_soak(frames, WarmDevice(), 0.3 / 60)
    assert device.name == "Fake board" and device.temperatures_c == {"tj": 61.0}
    assert sum(window.end_to_end.count for window in device.windows) == frames.count
    # 10 W for 5 ms a frame and a little more
    assert device.energy_mj_per_frame is not None and device.energy_mj_per_frame > 45


def test_without_sensors_drift_shows_in_the_frames() -> None:
    frames: Any = Frames()
    device = run_soak(frames, None, 0.1 / 60)
    assert device.windows and device.energy_mj_per_frame is None
    assert device.name == "no sensors" and device.missing


def test_one_frame_runs_however_short_the_time_is() -> None:
    frames: Any = Frames()
    run_soak(frames, None, 0.0)
    assert frames.count == 1


def test_what_the_work_before_left_behind_is_no_part_of_the_run() -> None:
    frames: Any = Frames()
    device = run_soak(frames, None, 0.05 / 60)
    assert frames.settled == FRAMES_TO_SETTLE
    assert sum(window.end_to_end.count for window in device.windows) == frames.count
    assert max(window.end_to_end.p50_ms for window in device.windows) < 300
