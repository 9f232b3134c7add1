"""A device whose readings a test plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runtime.device_samples import DeviceSample
from runtime.spans import FrameSpans


class FakeMonitor:
    """Gives planned samples one after the other, then the last one for ever.

    Args:
        samples: At least one.
        total_rail: As of a monitor.
    """

    def __init__(self, samples: Iterable[DeviceSample], total_rail: str | None = "VDD_IN") -> None:
        self.name = "Fake Jetson"
        self.power_mode = "15W"
        self.total_rail = total_rail
        self.missing: tuple[str, ...] = ("memory load: not there",)
        self._samples: Iterator[DeviceSample] = iter(samples)
        self._latest = next(self._samples)
        self._is_first = True
        self.asked = 0
        self.is_closed = False

    def sample(self) -> DeviceSample:
        self.asked += 1
        if not self._is_first:
            self._latest = next(self._samples, self._latest)
        self._is_first = False
        return self._latest

    def close(self) -> None:
        self.is_closed = True


def sample_at(at_s: float, milliwatts: float | None = None, **readings: object) -> DeviceSample:
    """Return a sample at a time in seconds with the power of the rail VDD_IN."""
    power = {} if milliwatts is None else {"VDD_IN": milliwatts}
    return DeviceSample(round(at_s * 1e9), power_mw=power, **readings)  # type: ignore[arg-type]


def frame_at(start_s: float, end_s: float, sequence: int = 0, warmup: bool = False) -> FrameSpans:
    """Return a frame of two moments, without stages."""
    return FrameSpans(sequence, warmup, (), round(start_s * 1e9), round(end_s * 1e9))


def frames_of(count: int, milliseconds: float, start_s: float = 0.0) -> list[FrameSpans]:
    """Return frames that follow each other without a break."""
    step = milliseconds / 1e3
    return [frame_at(start_s + i * step, start_s + (i + 1) * step, i) for i in range(count)]
