"""Is one artifact faster than another? Ratios with intervals, and a verdict only where one is due.

A verdict is given per figure at 95 %: of twenty figures of two equal artifacts one will differ by
chance. Decide beforehand which figure counts; ``runtime/regression_budget.py`` is for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.measurement import Comparison
from runtime.round_bootstrap import (
    MIN_ROUNDS,
    Interval,
    Pairing,
    Rounds,
    ratio_intervals,
)

# The middle, the tail in two steps, and the mean, which frames per second follow.
COMPARED_FIGURES = ("p50", "p90", "p99", "mean")
FASTER = "faster"
SLOWER = "slower"
NO_DIFFERENCE = "no difference shown"


def compare_runs(
    frames_by_artifact: Mapping[str, Sequence[Sequence[float]]], stage: str = ""
) -> tuple[Comparison, ...]:
    """Compare artifacts that took turns with the first of them.

    Args:
        frames_by_artifact: Milliseconds per frame, by round, warm-up left out. Round i of all
            artifacts was measured in the same minute; all have as many rounds.
        stage: Which part of a frame's way the times are, for the names of the figures; "" for
            all of it.

    Returns:
        One entry per figure of ``COMPARED_FIGURES`` for every artifact but the first; none for
        fewer than two artifacts.

    Raises:
        ValueError: If an artifact has no frames in a round, or not as many rounds as the first.
    """
    names = list(frames_by_artifact)
    return tuple(
        comparison
        for name in names[1:]
        for comparison in compare_with(
            (name, frames_by_artifact[name]),
            (names[0], frames_by_artifact[names[0]]),
            Pairing.INTERLEAVED,
            stage,
        )
    )


def compare_with(
    own: tuple[str, Rounds], baseline: tuple[str, Rounds], pairing: Pairing, stage: str = ""
) -> tuple[Comparison, ...]:
    """Compare one artifact with one other, or with an earlier measurement.

    Args:
        own: The artifact's name and its milliseconds per frame, by round.
        baseline: The same of what it is compared with; a file's name if figures come from one.
        pairing: ``Pairing.SEPARATE`` against an earlier measurement.
        stage: As in ``compare_runs``.

    Returns:
        One entry per figure of ``COMPARED_FIGURES``.

    Raises:
        ValueError: As in ``compare_runs``.
    """
    (name, rounds), (baseline_name, baseline_rounds) = own, baseline
    ratios = ratio_intervals(rounds, baseline_rounds, pairing, COMPARED_FIGURES)
    fewest = min(len(rounds), len(baseline_rounds))
    return tuple(
        Comparison(
            artifact=name,
            baseline=baseline_name,
            figure=f"{stage} {figure}".strip(),
            ratio=ratio.value,
            low=ratio.low,
            high=ratio.high,
            verdict=verdict_of(ratio, fewest),
        )
        for figure, ratio in ratios.items()
    )


def verdict_of(ratio: Interval, rounds: int) -> str:
    """Return what a ratio of times says.

    Args:
        ratio: Own time over the baseline's.
        rounds: The fewest that either had, for the reason where there is no interval.
    """
    if ratio.low is None or ratio.high is None:
        return f"no verdict: got {rounds} rounds; an interval takes {MIN_ROUNDS}"
    if ratio.high < 1:
        return FASTER
    if ratio.low > 1:
        return SLOWER
    return NO_DIFFERENCE
