"""Times per stage, kept in bounded memory however long a stream runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

WINDOW_FRAMES = 10_000  # the latest; at 30 FPS the last five and a half minutes


@dataclass(frozen=True)
class StageSummary:
    """How long one stage took, in milliseconds; percentiles over the latest frames.

    Attributes:
        count: Frames measured, all of them.
        mean_ms: Mean over all frames.
        p50_ms: Median.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
    """

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class StageTimes:
    """Collects times by stage. Use from one thread.

    Args:
        window: Frames over which percentiles are computed.
    """

    def __init__(self, window: int = WINDOW_FRAMES) -> None:
        self._window = window
        self._recent: dict[str, np.ndarray] = {}  # a list of 10 000 would take longer to sum up
        self._totals: dict[str, tuple[int, float]] = {}

    def record(self, times_ms: Mapping[str, float]) -> None:
        """Add one frame's times, stage by stage."""
        for stage, milliseconds in times_ms.items():
            if stage not in self._recent:
                self._recent[stage] = np.zeros(self._window)
            count, total = self._totals.get(stage, (0, 0.0))
            self._recent[stage][count % self._window] = milliseconds
            self._totals[stage] = (count + 1, total + milliseconds)

    def summary(self) -> dict[str, StageSummary]:
        """Return every stage's figures, in the order in which stages first appeared."""
        result = {}
        for stage, recent in self._recent.items():
            count, total = self._totals[stage]
            p50, p95, p99 = np.percentile(recent[:count], (50, 95, 99)).tolist()
            result[stage] = StageSummary(count, total / count, p50, p95, p99)
        return result
