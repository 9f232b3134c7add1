"""Intervals of latency figures: what is resampled, and how wide they become."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import round_bootstrap
from runtime.latency import Latency
from runtime.round_bootstrap import (
    FIGURES,
    MIN_ROUNDS,
    Interval,
    Pairing,
    figure_intervals,
    ratio_intervals,
    student_t_quantile,
)
from tests.fakes.frame_times import FrameTimes

ROUNDS, FRAMES = 10, 20


def test_figures_are_those_of_all_frames() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(1), ROUNDS, FRAMES)
    intervals = figure_intervals(frames)
    whole = Latency.of(np.concatenate([np.asarray(one) for one in frames]))
    wanted = [whole.p50_ms, whole.p90_ms, whole.p95_ms, whole.p99_ms, whole.mean_ms]
    assert [intervals[figure].value for figure in FIGURES] == pytest.approx(wanted)
    for interval in intervals.values():
        assert interval.low is not None and interval.high is not None
        assert interval.low <= interval.value <= interval.high


def test_a_resample_counts_whole_rounds_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [[5.0, 1.0], [2.0], [9.0, 3.0, 4.0], [6.0], [7.0], [8.0, 0.5], [2.5]]
    counts = np.array([[2, 0, 1, 0, 0, 3, 1], [0, 0, 0, 0, 0, 0, 7], [1] * 7])
    monkeypatch.setattr(round_bootstrap, "_BLOCK_COUNTS", 24)  # two resamples in a block, then one
    found = round_bootstrap._Series.of(rounds).figures(counts, FIGURES)
    for row, times in enumerate(counts):
        drawn = [ms for ms_of, n in zip(rounds, times, strict=True) for ms in ms_of * int(n)]
        for name, share in round_bootstrap.PERCENTILES.items():
            assert found[name][row] == pytest.approx(np.percentile(drawn, 100 * share))
        assert found["mean"][row] == pytest.approx(np.mean(drawn))


def test_the_same_times_give_the_same_interval() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(1), ROUNDS, FRAMES)
    assert figure_intervals(frames) == figure_intervals(frames)


def test_what_artifacts_met_together_is_taken_out_by_pairs_only() -> None:
    own, other = FrameTimes(shared=0.4).pair(np.random.default_rng(2), ROUNDS, FRAMES)
    paired = ratio_intervals(own, other, Pairing.INTERLEAVED)["p50"]
    apart = ratio_intervals(own, other, Pairing.SEPARATE)["p50"]
    assert paired.value == apart.value
    assert paired.half_width is not None and apart.half_width is not None
    assert paired.half_width < apart.half_width / 3


def test_few_rounds_give_a_figure_and_no_interval() -> None:
    frames = FrameTimes().rounds(np.random.default_rng(3), MIN_ROUNDS, FRAMES)
    assert figure_intervals(frames)["p50"].low is not None
    few = figure_intervals(frames[:-1])["p50"]
    assert (few.low, few.high, few.half_width) == (None, None, None)
    ratio = ratio_intervals(frames, frames[:-1], Pairing.SEPARATE)["p50"]
    assert ratio.low is None and ratio.value > 0


def test_interleaved_rounds_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="got 3 and 2 rounds"):
        ratio_intervals([[1.0]] * 3, [[1.0]] * 2, Pairing.INTERLEAVED)


@pytest.mark.parametrize("rounds", [[], [[1.0], []]])
def test_rounds_without_frames_are_refused(rounds: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected at least one in each"):
        figure_intervals(rounds)


def test_a_stage_below_the_clocks_resolution_gives_no_division_by_zero() -> None:
    zeros, ones = [[0.0]] * MIN_ROUNDS, [[1.0]] * MIN_ROUNDS
    ratio = ratio_intervals(ones, zeros, Pairing.INTERLEAVED, ("p50",))["p50"]
    assert np.isfinite(ratio.value)
    assert ratio_intervals(zeros, zeros, Pairing.INTERLEAVED, ("p50",))["p50"].value == 1


def test_the_inverse_turns_the_ends_round() -> None:
    assert Interval(4.0, 2.0, 8.0).inverse() == Interval(0.25, 0.125, 0.5)
    assert Interval(4.0).inverse() == Interval(0.25)


@pytest.mark.parametrize(
    ("degrees", "table"), [(6, 2.44691), (9, 2.26216), (19, 2.09302), (1000, 1.96234)]
)
def test_students_t_is_that_of_the_tables(degrees: int, table: float) -> None:
    assert student_t_quantile(0.975, degrees) == pytest.approx(table, rel=1e-3)


@pytest.mark.parametrize("pairing", list(Pairing))
def test_a_ratio_has_an_interval_from_seven_rounds_of_both_on(pairing: Pairing) -> None:
    rng = np.random.default_rng(4)
    rounds = [FrameTimes().rounds(rng, count, FRAMES) for count in (MIN_ROUNDS, MIN_ROUNDS - 1)]
    assert ratio_intervals(rounds[0], rounds[0], pairing, ("p50",))["p50"].low is not None
    assert ratio_intervals(rounds[1], rounds[1], pairing, ("p50",))["p50"].low is None
