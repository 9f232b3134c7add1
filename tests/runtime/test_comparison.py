"""Comparing artifacts: ratios, verdicts, and how often an interval holds the truth."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from runtime.comparison import (
    COMPARED_FIGURES,
    FASTER,
    NO_DIFFERENCE,
    SLOWER,
    compare_runs,
    compare_with,
    verdict_of,
)
from runtime.round_bootstrap import Interval, Pairing, figure_intervals
from tests.fakes.frame_times import FrameTimes

ROUNDS, FRAMES = 10, 20
Frames = list[list[float]]


def scaled(frames: Frames, factor: float) -> Frames:
    return [[ms * factor for ms in one] for one in frames]


def test_artifacts_are_compared_with_the_first_figure_by_figure() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(1), ROUNDS, FRAMES)
    found = compare_runs({"a": frames, "b": scaled(frames, 0.5), "c": scaled(frames, 2.0)})
    assert [(one.artifact, one.figure) for one in found] == [
        (name, figure) for name in "bc" for figure in COMPARED_FIGURES
    ]
    assert {one.baseline for one in found} == {"a"}
    assert {one.verdict for one in found[:4]} == {FASTER}
    assert {one.verdict for one in found[4:]} == {SLOWER}
    for one in found:  # every round has the same ratio: nothing is uncertain
        assert (one.ratio, one.low, one.high) == pytest.approx(
            [0.5 if one.artifact == "b" else 2] * 3
        )


def test_equal_artifacts_show_no_difference() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(1), ROUNDS, FRAMES)
    found = compare_runs({"a": frames, "b": frames})
    assert {one.verdict for one in found} == {NO_DIFFERENCE}


def test_a_stage_gives_its_figures_their_names() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(1), ROUNDS, FRAMES)
    found = compare_runs({"a": frames, "b": frames}, "network")
    assert [one.figure for one in found] == [f"network {figure}" for figure in COMPARED_FIGURES]


@pytest.mark.parametrize("names", [[], ["a"]])
def test_one_artifact_has_nothing_to_be_compared_with(names: list[str]) -> None:
    assert compare_runs({name: [[1.0]] for name in names}) == ()


def test_few_rounds_give_ratios_and_say_why_there_is_no_verdict() -> None:
    found = compare_runs({"a": [[2.0, 2.0]] * 4, "b": [[1.0]] * 4})
    assert {one.ratio for one in found} == {0.5}
    assert {(one.low, one.high) for one in found} == {(None, None)}
    assert {one.verdict for one in found} == {"no verdict: got 4 rounds; an interval takes 7"}


def test_the_fewer_rounds_of_two_measurements_decide() -> None:
    found = compare_with(("now", [[1.0]] * 9), ("then.json", [[1.0]] * 5), Pairing.SEPARATE)
    assert {one.verdict for one in found} == {"no verdict: got 5 rounds; an interval takes 7"}


def test_artifacts_that_took_turns_have_as_many_rounds() -> None:
    with pytest.raises(ValueError, match="got 8 and 9 rounds"):
        compare_runs({"a": [[1.0]] * 9, "b": [[1.0]] * 8})


def coverage(
    trials: int, truth: dict[str, float], other: FrameTimes, seed: int
) -> dict[str, float]:
    """Return how often each figure's interval holds the true ratio of other to the standard."""
    rng, held = np.random.default_rng(seed), Counter[str]()
    for _ in range(trials):
        own, second = FrameTimes().pair(rng, ROUNDS, FRAMES, other)
        for one in compare_runs({"a": own, "b": second}):
            assert one.low is not None and one.high is not None
            held[one.figure] += one.low <= truth[one.figure] <= one.high
    return {figure: held[figure] / trials for figure in truth}


def true_ratios(other: FrameTimes) -> dict[str, float]:
    """Return the ratios of very many rounds."""
    rng, figures = np.random.default_rng(99), []
    for nature in (other, FrameTimes()):
        frames = np.ravel(nature.rounds(rng, 60_000, FRAMES))
        # one round: the figures alone, no interval
        figures.append(figure_intervals([frames.tolist()], COMPARED_FIGURES))
    return {name: figures[0][name].value / figures[1][name].value for name in COMPARED_FIGURES}


# The share of twenty-four trials that may miss by chance is large; a plain percentile interval, or
# one of single frames, misses many more (see the slow test for the level itself).
def test_intervals_of_equal_artifacts_hold_one() -> None:
    held = coverage(60, dict.fromkeys(COMPARED_FIGURES, 1.0), FrameTimes(), seed=4)
    assert min(held.values()) >= 0.88, held


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_equal_artifacts_get_a_verdict_in_one_case_of_twenty() -> None:
    held = coverage(1000, dict.fromkeys(COMPARED_FIGURES, 1.0), FrameTimes(), seed=5)
    assert min(held.values()) >= 0.93, held
    assert max(held.values()) <= 0.99, held


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_intervals_hold_the_truth_about_artifacts_with_another_tail() -> None:
    other = FrameTimes(median_ms=12.0, own=0.08, spikes=0.06)
    held = coverage(1000, true_ratios(other), other, seed=6)
    assert min(held.values()) >= 0.92, held


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.8, 0.9, FASTER),
        (0.8, 1.0, NO_DIFFERENCE),
        (0.8, 1.2, NO_DIFFERENCE),
        (1.0, 1.2, NO_DIFFERENCE),
        (1.01, 1.2, SLOWER),
        (None, None, "no verdict: got 6 rounds; an interval takes 7"),
    ],
)
def test_a_verdict_is_given_only_where_the_interval_excludes_1(
    low: float | None, high: float | None, verdict: str
) -> None:
    assert verdict_of(Interval(0.95, low, high), 6) == verdict
