"""A long run beside the device's sensors: what heat does to latency."""

from __future__ import annotations

import dataclasses
import time

from runtime.device_log import DeviceLog
from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.journey import FrameSequence
from runtime.measure_rounds import FRAMES_TO_SETTLE
from runtime.measurement import Device
from runtime.spans import FrameSpans


class NoSensors:
    """Stands in where no device tells anything: drift shows in the frames alone."""

    name: str = "no sensors"
    power_mode: str = ""
    total_rail: str | None = None
    missing: tuple[str, ...] = (
        "power, temperatures and clocks: no Jetson, nor an NVIDIA GPU that NVML reads",
    )

    def sample(self) -> DeviceSample:
        """Tell the time."""
        return DeviceSample(time.perf_counter_ns())

    def close(self) -> None:
        """Do nothing."""


def run_soak(sequence: FrameSequence, monitor: DeviceMonitor | None, minutes: float) -> Device:
    """Take frames through all stages for a long time.

    Args:
        sequence: Of one artifact.
        monitor: Of the device; None where nothing can be read.
        minutes: How long; one frame at least.

    Returns:
        What the device did, and the frames' latency window by window.

    Raises:
        CornerRTError: If a stage fails.
    """
    for _ in range(FRAMES_TO_SETTLE):  # what ran before may have left another shape's plan
        sequence.next_frame(True)
    frames: list[FrameSpans] = []
    ends_at = time.monotonic() + 60 * minutes
    with DeviceLog(monitor or NoSensors()) as log:
        while not frames or time.monotonic() < ends_at:
            # Without the stages: hours of frames are to fit into memory.
            frames.append(dataclasses.replace(sequence.next_frame(), spans=()))
    return log.device(frames)
