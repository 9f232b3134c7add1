"""How everything here is measured, in one place.

Candidates take turns within every round, in an order that shifts from round to round, so that a
slow minute of the machine meets all of them alike. Warm-up rounds are not counted. A figure is the
median of at least seven rounds with its quartiles; a ratio is that of two medians, with the
quartiles of the ratios within each round.
"""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MIN_ROUNDS = 7
DEFAULT_ROUNDS = 9
WARMUP_ROUNDS = 2

# One candidate's turn: runs it and returns what was measured, in milliseconds, by label.
Turn = Callable[[], Mapping[str, float]]
# One value per counted round, in milliseconds, by label.
Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a series.

    Attributes:
        median: The figure to quote.
        q1: A quarter of the values lie below.
        q3: A quarter of the values lie above.
    """

    median: float
    q1: float
    q3: float

    @property
    def iqr(self) -> float:
        """Distance between the quartiles."""
        return self.q3 - self.q1


@dataclass(frozen=True)
class Ratio:
    """How two series compare.

    Attributes:
        of_medians: Median of the first over median of the second.
        q1: Lower quartile of the ratios within each round.
        q3: Upper quartile of the ratios within each round.
    """

    of_medians: float
    q1: float
    q3: float


class Sense(enum.Enum):
    """On which side of its limit a value should lie."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be.

    Attributes:
        name: What was measured.
        value: What came out.
        sense: On which side of ``limit`` it should lie.
        limit: The goal itself; met when reached exactly.
    """

    name: str
    value: float
    sense: Sense
    limit: float

    @property
    def is_met(self) -> bool:
        """Say whether the goal was reached."""
        if self.sense is Sense.AT_LEAST:
            return self.value >= self.limit
        return self.value <= self.limit


def spread_of(values: Sequence[float]) -> Spread:
    """Return median and quartiles, interpolated linearly between neighbours."""
    q1, median, q3 = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return Spread(median, q1, q3)


def ratio_of(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Compare two series that were measured in the same rounds.

    Args:
        numerators: One value per round.
        denominators: As many values, in the same order, all above zero.
    """
    pairs = zip(numerators, denominators, strict=True)
    paired = spread_of([numerator / denominator for numerator, denominator in pairs])
    of_medians = spread_of(numerators).median / spread_of(denominators).median
    return Ratio(of_medians, paired.q1, paired.q3)


def timed(label: str, action: Callable[[], object], repeats: int = 1) -> Turn:
    """Return a turn that times one action.

    Args:
        label: Under which the time is kept.
        action: What to time.
        repeats: Calls per turn, for an action that is short against the clock and the scheduler;
            the turn's value is their mean.
    """

    def turn() -> dict[str, float]:
        started_ns = time.perf_counter_ns()
        for _ in range(repeats):
            action()
        return {label: (time.perf_counter_ns() - started_ns) / 1e6 / repeats}

    return turn


def run_rounds(turns: Sequence[Turn], rounds: int, warmup: int = WARMUP_ROUNDS) -> Samples:
    """Let candidates take turns and keep what they measured.

    Args:
        turns: One per candidate; the first of a round moves on by one from round to round.
        rounds: Rounds that count.
        warmup: Rounds before, not counted.

    Returns:
        ``rounds`` values per label.
    """
    samples: Samples = {}
    for index in range(-warmup, rounds):
        first = index % len(turns)
        _show_progress(index + warmup, rounds + warmup)
        for turn in (*turns[first:], *turns[:first]):
            values = turn()
            if index >= 0:
                for label, milliseconds in values.items():
                    samples.setdefault(label, []).append(milliseconds)
    _show_progress(rounds + warmup, rounds + warmup)
    return samples


def _show_progress(done: int, total: int) -> None:
    """Keep one line of a terminal up to date, and clear it at the end; silent elsewhere."""
    if sys.stderr.isatty():
        text = f"round {done + 1} of {total}" if done < total else ""
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
