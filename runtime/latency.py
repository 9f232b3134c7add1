"""What a series of times says: percentiles with the tail kept, and how they are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 95, 99)
# Bars of a histogram: each is 1/40 of a power of ten wide (6 %), so that frames which differ by a
# third still make a shape; from a microsecond to a minute and a half.
BARS_PER_DECADE = 40
_LOWEST_DECADE, _HIGHEST_DECADE = -3, 5


@dataclass(frozen=True)
class Latency:
    """How long something took, in milliseconds.

    Percentiles are interpolated linearly between neighbours; nothing is clipped or left out.

    Attributes:
        count: Measured values.
        mean_ms: Their mean.
        p50_ms: Median.
        p90_ms: 90th percentile.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        max_ms: The longest.
    """

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, samples_ms: Sequence[float] | np.ndarray) -> Latency:
        """Summarise a series.

        Args:
            samples_ms: Milliseconds, at least one value.

        Raises:
            ValueError: If there is none.
        """
        values = np.asarray(samples_ms, np.float64)
        if values.size == 0:
            raise ValueError("got no samples; expected at least one")
        p50, p90, p95, p99 = np.percentile(values, PERCENTILES).tolist()
        return cls(values.size, float(values.mean()), p50, p90, p95, p99, float(values.max()))


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: how many values lie in [from_ms, to_ms)."""

    from_ms: float
    to_ms: float
    count: int


def histogram_of(samples_ms: Sequence[float] | np.ndarray) -> tuple[Bar, ...]:
    """Count values in bars of equal width on a logarithmic axis, so that a tail stays visible.

    Args:
        samples_ms: Milliseconds; what lies beyond a microsecond or a minute and a half counts in
            the outermost bars.

    Returns:
        The bars from the first that is not empty to the last; none for no values.
    """
    bars = (_HIGHEST_DECADE - _LOWEST_DECADE) * BARS_PER_DECADE
    edges = np.logspace(_LOWEST_DECADE, _HIGHEST_DECADE, bars + 1)
    inside = np.clip(np.asarray(samples_ms, np.float64), edges[0], edges[-1])
    counts = np.histogram(inside, edges)[0]
    filled = np.flatnonzero(counts)
    if filled.size == 0:
        return ()
    span = range(int(filled[0]), int(filled[-1]) + 1)
    return tuple(Bar(float(edges[i]), float(edges[i + 1]), int(counts[i])) for i in span)
