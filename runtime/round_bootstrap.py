"""Confidence intervals of latency figures, from whole rounds that are drawn again and again.

Frames of one round are not independent: a clock that dropped, a neighbour that woke up or a hot
board meets many of them. Resampling single frames would take them for that many observations and
give intervals that are far too narrow. So whole rounds are drawn with replacement (the cluster
bootstrap), and for artifacts that took turns the same rounds of both (paired), which takes out what
they met together.

With ten rounds the plain percentile interval is too narrow as well: it covers about 90 % instead of
95 %. Hesterberg's expanded percentiles correct that: the tails are chosen as if by Student's t with
one degree of freedom less than rounds, and widened by sqrt(n / (n - 1)).

Sources: Davison and Hinkley, "Bootstrap Methods and their Application", 1997 (clusters);
Hesterberg, "What Teachers Should Know about the Bootstrap", arXiv:1411.5279 (expanded
percentiles).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
# With 7 rounds the expanded interval ends at the 0.4th percentile: 4000 resamples leave 16 beyond
# it, and move an end by a few per cent of the interval's width from seed to seed; more would not
# make up for few rounds.
RESAMPLES = 4000
# 6 rounds can be drawn in 462 ways, 5 in 126: the tails would rest on one or two of them, where the
# same slow round is drawn again and again. As many as benchmarks/common.py asks for.
MIN_ROUNDS = 7
SEED = 20_260_101  # any; fixed, so that the same times give the same verdict
# Percentiles by name; "mean" is the other figure.
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
FIGURES = (*PERCENTILES, "mean")
# Resamples are worked off in blocks of about so many counts, to stay within 100 MB.
_BLOCK_COUNTS = 1_000_000
_SHORTEST_MS = 1e-6  # a nanosecond: what the clock tells at best, and never zero in a ratio

Rounds = Sequence[Sequence[float]]


class Pairing(enum.Enum):
    """How the rounds of two series belong together."""

    INTERLEAVED = "round i of both met the same minute: drawn together"
    SEPARATE = "measured one after the other: drawn apart"


@dataclass(frozen=True)
class Interval:
    """A figure, and where it probably lies.

    Attributes:
        value: The figure of all frames.
        low: Lower end of its 95 % confidence interval; None with fewer than ``MIN_ROUNDS`` rounds.
        high: Upper end; None likewise.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the distance between the ends; None without them."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def inverse(self, numerator: float = 1.0) -> Interval:
        """Return the interval of a number divided by the figure."""
        if self.low is None or self.high is None:
            return Interval(numerator / self.value)
        return Interval(numerator / self.value, numerator / self.high, numerator / self.low)


def figure_intervals(rounds: Rounds, figures: Sequence[str] = FIGURES) -> dict[str, Interval]:
    """Return the figures of one series with their intervals.

    Args:
        rounds: Milliseconds per frame, by round; at least one round, none empty.
        figures: Any of ``FIGURES``.

    Returns:
        Milliseconds by figure.

    Raises:
        ValueError: If there is no round, or an empty one.
    """
    series = _Series.of(rounds)
    values = series.figures(np.ones((1, series.rounds), np.int64), figures)
    if series.rounds < MIN_ROUNDS:
        return {figure: Interval(float(values[figure][0])) for figure in figures}
    drawn = series.figures(_draw(np.random.default_rng(SEED), series.rounds), figures)
    return {
        figure: _interval(float(values[figure][0]), drawn[figure], series.rounds)
        for figure in figures
    }


def ratio_intervals(
    rounds: Rounds, baseline: Rounds, pairing: Pairing, figures: Sequence[str] = FIGURES
) -> dict[str, Interval]:
    """Return the ratios of two series' figures with their intervals.

    Args:
        rounds: Milliseconds per frame, by round; at least one round, none empty.
        baseline: The same of what it is compared with; the ratio's denominator.
        pairing: Whether round i of both belongs together; then there must be as many.
        figures: Any of ``FIGURES``.

    Returns:
        Ratios by figure; without ends where either has fewer than ``MIN_ROUNDS`` rounds.

    Raises:
        ValueError: If there is no round, or an empty one, or interleaved ones differ in number.
    """
    own, other = _Series.of(rounds), _Series.of(baseline)
    if pairing is Pairing.INTERLEAVED and own.rounds != other.rounds:
        raise ValueError(f"got {own.rounds} and {other.rounds} rounds; expected as many of both")
    values = _ratios(own, other, (_each_once(own), _each_once(other)), figures)
    fewest = min(own.rounds, other.rounds)
    if fewest < MIN_ROUNDS:
        return {figure: Interval(float(values[figure][0])) for figure in figures}
    rng = np.random.default_rng(SEED)
    counts = _draw(rng, own.rounds)
    other_counts = counts if pairing is Pairing.INTERLEAVED else _draw(rng, other.rounds)
    drawn = _ratios(own, other, (counts, other_counts), figures)
    return {
        figure: _interval(float(values[figure][0]), drawn[figure], fewest) for figure in figures
    }


def student_t_quantile(probability: float, degrees: int) -> float:
    """Return a quantile of Student's t distribution, good to 0.1 % from 6 degrees of freedom.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


@dataclass(frozen=True)
class _Series:
    """Frames of all rounds, sorted once: a resample only says how often each round counts.

    Attributes:
        rounds: How many.
        sorted_ms: float64 (frames,), ascending.
        round_of: int64 (frames,): the round of each.
        sums_ms: float64 (rounds,).
        sizes: int64 (rounds,): frames of each round.
    """

    rounds: int
    sorted_ms: np.ndarray
    round_of: np.ndarray
    sums_ms: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, rounds: Rounds) -> _Series:
        """Sort a series."""
        arrays = [np.maximum(np.asarray(frames, np.float64), _SHORTEST_MS) for frames in rounds]
        sizes = np.array([array.size for array in arrays], np.int64)
        if sizes.size == 0 or sizes.min() == 0:
            raise ValueError(
                f"got rounds of {sizes.tolist()} frames; expected at least one in each"
            )
        frames = np.concatenate(arrays)
        order = np.argsort(frames, kind="stable")
        round_of = np.repeat(np.arange(sizes.size), sizes)[order]
        sums = np.array([array.sum() for array in arrays])
        return cls(len(arrays), frames[order], round_of, sums, sizes)

    def figures(self, counts: np.ndarray, figures: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Return every figure of every resample.

        Args:
            counts: int64 (resamples, rounds): how often each round was drawn.
            figures: Any of ``FIGURES``.

        Returns:
            float64 (resamples,) by figure.
        """
        rows = max(1, _BLOCK_COUNTS // self.sorted_ms.size)
        blocks = [
            self._percentiles(counts[first : first + rows], figures)
            for first in range(0, len(counts), rows)
        ]
        found = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        if "mean" in figures:
            found["mean"] = (counts @ self.sums_ms) / (counts @ self.sizes)
        return found

    def _percentiles(self, counts: np.ndarray, figures: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the percentiles of resamples, as ``np.percentile`` would of the drawn frames."""
        wanted = [name for name in figures if name in PERCENTILES]
        if not wanted:
            return {}
        frames_so_far = np.cumsum(counts[:, self.round_of], axis=1)  # (resamples, frames)
        totals = frames_so_far[:, -1]
        # One search for all resamples: each row is lifted above the one before it.
        lift = np.arange(len(counts)) * (totals.max() + 1)
        flat = (frames_so_far + lift[:, None]).ravel()
        first = np.arange(len(counts)) * self.sorted_ms.size

        def frame_at(position: np.ndarray) -> np.ndarray:
            index = np.searchsorted(flat, position + lift, side="right") - first
            frames: np.ndarray = self.sorted_ms[index]
            return frames

        found = {}
        for name in wanted:
            place = (totals - 1) * PERCENTILES[name]
            below = np.floor(place).astype(np.int64)
            low, high = frame_at(below), frame_at(np.minimum(below + 1, totals - 1))
            found[name] = low + (high - low) * (place - below)
        return found


def _each_once(series: _Series) -> np.ndarray:
    """Return the counts that take every round once: the series itself."""
    return np.ones((1, series.rounds), np.int64)


def _draw(rng: np.random.Generator, rounds: int) -> np.ndarray:
    """Return how often each round comes in each resample, int64 (RESAMPLES, rounds)."""
    counts: np.ndarray = rng.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)
    return counts


def _ratios(
    own: _Series,
    other: _Series,
    counts: tuple[np.ndarray, np.ndarray],
    figures: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return float64 (resamples,) by figure."""
    numerators = own.figures(counts[0], figures)
    denominators = other.figures(counts[1], figures)
    return {figure: numerators[figure] / denominators[figure] for figure in figures}


def _interval(value: float, drawn: np.ndarray, rounds: int) -> Interval:
    """Return the expanded percentile interval of resampled figures."""
    t = student_t_quantile((1 + CONFIDENCE) / 2, rounds - 1)
    tail = NormalDist().cdf(-math.sqrt(rounds / (rounds - 1)) * t)
    low, high = np.quantile(drawn, (tail, 1 - tail)).tolist()
    return Interval(value, low, high)
