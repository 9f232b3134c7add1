"""The energy that a device took while frames ran, from samples of its power or its own counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtime.device_samples import DeviceSample
from runtime.spans import FrameSpans

# Frames that fill this much of the time were alone: breaks between them are the machine's.
ALONE = 0.9
# Else a break longer than this, or than half a frame, belongs to other work, such as runs of the
# bare network or the rounds of another artifact.
LONGEST_BREAK_NS = 50_000_000
# Where samples are further apart than this many usual steps, what happened between is not known.
LONGEST_GAP_STEPS = 10
# On average in each part of a run that takes turns with other work.
LEAST_SAMPLES = 3

Stretch = tuple[int, int]  # start and end, of time.perf_counter_ns


class EnergyMeter:
    """Tells the whole device's energy between any two moments that its samples surround.

    Where the device counts energy itself, it is the difference of its counter; else the integral
    of the total rail's power by trapezoids. Both are interpolated linearly at the ends.

    Args:
        samples: In order of time.
        total_rail: Which rail holds the whole device; None if none does.
    """

    def __init__(self, samples: Sequence[DeviceSample], total_rail: str | None) -> None:
        self._times_ns = np.array([sample.at_ns for sample in samples], np.int64)
        counts = [(s.at_ns, s.energy_mj) for s in samples if s.energy_mj is not None]
        self._counter = _Series.of(counts)
        if np.any(np.diff(self._counter.values) < 0):  # a driver that was loaded anew starts at 0
            self._counter = _Series.of([])
        rail = total_rail or ""
        powers = [(s.at_ns, s.power_mw[rail]) for s in samples if rail in s.power_mw]
        self._power = _Series.of(powers)

    def between_mj(self, started_ns: int, ended_ns: int) -> float | None:
        """Return the energy between two moments.

        Args:
            started_ns: Reading of ``time.perf_counter_ns``.
            ended_ns: The same, not before.

        Returns:
            Millijoules; None if the samples do not cover the time.
        """
        if self._counter.covers(started_ns, ended_ns):
            before, after = self._counter.at(np.array([started_ns, ended_ns]))
            return float(after - before)
        if not self._power.covers(started_ns, ended_ns):
            return None
        inside = self._power.times_ns[slice(*self._power.inside(started_ns, ended_ns))]
        times_ns = np.concatenate(([started_ns], inside, [ended_ns]))
        heights_mw = self._power.at(times_ns)
        seconds = np.diff(times_ns) / 1e9
        return float(np.sum(seconds * (heights_mw[1:] + heights_mw[:-1]) / 2))

    def per_frame_mj(self, frames: Sequence[FrameSpans]) -> float | None:
        """Return the energy while frames ran, by frame.

        Args:
            frames: In order of time, at least one; breaks between them in which there was other
                work are not theirs.

        Returns:
            Millijoules; None if the samples do not cover the frames, or are too few to tell frames
            that take turns with other work from it.
        """
        if self.fault_of(frames):
            return None
        parts = _stretches(frames)
        energies = [self.between_mj(*part) for part in parts]
        known = [energy for energy in energies if energy is not None]
        return sum(known) / len(frames) if len(known) == len(energies) else None

    def fault_of(self, frames: Sequence[FrameSpans]) -> str:
        """Say in one line why frames that take turns with other work cannot be told from it.

        Args:
            frames: In order of time, at least one.

        Returns:
            The reason; "" if they take no turns, or have samples enough.
        """
        parts = _stretches(frames)
        inside = sum(int(np.diff(np.searchsorted(self._times_ns, part))[0]) for part in parts)
        if len(parts) == 1 or inside >= LEAST_SAMPLES * len(parts):
            return ""
        return (
            f"energy per frame: {inside} samples in {len(parts)} turns of the run; expected "
            f"{LEAST_SAMPLES} in each; take --soak 1, or fewer --rounds"
        )


@dataclass(frozen=True)
class _Series:
    """Values over time.

    Attributes:
        times_ns: Rising, each once.
        values: One for each time.
        longest_step_ns: Neighbours further apart have something unknown between them.
    """

    times_ns: np.ndarray
    values: np.ndarray
    longest_step_ns: float

    @classmethod
    def of(cls, readings: Sequence[tuple[int, float]]) -> _Series:
        """Make one of readings in order of time; of several at one moment the last counts."""
        by_time = dict(readings)  # a monitor that has nothing new repeats its last reading
        times_ns = np.array(list(by_time), np.int64)
        steps = np.diff(times_ns)
        longest = LONGEST_GAP_STEPS * float(np.median(steps)) if steps.size else 0.0
        return cls(times_ns, np.array(list(by_time.values()), np.float64), longest)

    def inside(self, started_ns: int, ended_ns: int) -> tuple[int, int]:
        """Return where the readings between two moments begin and end, as of a slice."""
        first = np.searchsorted(self.times_ns, started_ns, side="right")
        return int(first), int(np.searchsorted(self.times_ns, ended_ns, side="left"))

    def covers(self, started_ns: int, ended_ns: int) -> bool:
        """Say whether readings lie around a time, and close enough to each other within it."""
        first, last = self.inside(started_ns, ended_ns)
        if first == 0 or last >= self.times_ns.size:
            return False
        steps = np.diff(self.times_ns[first - 1 : last + 1])
        return not np.any(steps > self.longest_step_ns)

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """Return the values at other times, interpolated."""
        # Counted from the first reading: floats hold no nanoseconds of a machine up for months.
        origin_ns = self.times_ns[0]
        values: np.ndarray = np.interp(times_ns - origin_ns, self.times_ns - origin_ns, self.values)
        return values


def _stretches(frames: Sequence[FrameSpans]) -> list[Stretch]:
    """Return when these frames were all that ran."""
    lengths_ns = [frame.ended_ns - frame.started_ns for frame in frames]
    whole = (frames[0].started_ns, frames[-1].ended_ns)
    if sum(lengths_ns) >= ALONE * (whole[1] - whole[0]):
        return [whole]
    longest_ns = min(LONGEST_BREAK_NS, float(np.median(lengths_ns)) / 2)
    parts: list[Stretch] = []
    for frame in frames:
        if parts and frame.started_ns - parts[-1][1] <= longest_ns:
            parts[-1] = (parts[-1][0], frame.ended_ns)
        else:
            parts.append((frame.started_ns, frame.ended_ns))
    return parts
