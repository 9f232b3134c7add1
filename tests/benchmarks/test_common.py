"""Statistics on numbers worked by hand, and the order in which candidates take turns."""

from __future__ import annotations

import pytest

from benchmarks.common import Goal, Sense, ratio_of, run_rounds, spread_of, timed


def test_median_and_quartiles_of_known_numbers():
    spread = spread_of([9.0, 1.0, 5.0, 3.0, 7.0])
    assert (spread.median, spread.q1, spread.q3, spread.iqr) == (5.0, 3.0, 7.0, 4.0)


def test_an_even_count_takes_the_middle_between_neighbours():
    assert spread_of([1.0, 2.0, 3.0, 10.0]).median == 2.5


def test_one_outlier_does_not_move_the_median():
    assert spread_of([2.0] * 6 + [1000.0]).median == 2.0


def test_ratio_is_of_medians_and_its_spread_is_paired_by_round():
    # Both are twice as slow in the second round: the ratio within a round stays 2.
    ratio = ratio_of([2.0, 40.0, 6.0], [1.0, 20.0, 3.0])
    assert (ratio.of_medians, ratio.q1, ratio.q3) == (2.0, 2.0, 2.0)
    # Medians 4 and 2; the ratios of the rounds are 1, 4 and 3.
    ratio = ratio_of([1.0, 4.0, 6.0], [1.0, 1.0, 2.0])
    assert (ratio.of_medians, ratio.q1, ratio.q3) == (4.0, 2.0, 3.5)


def test_ratio_refuses_series_of_different_rounds():
    with pytest.raises(ValueError, match="shorter"):
        ratio_of([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("value", "sense", "met"),
    [
        (1.3, Sense.AT_LEAST, True),
        (1.29, Sense.AT_LEAST, False),
        (1.3, Sense.AT_MOST, True),
        (1.31, Sense.AT_MOST, False),
    ],
)
def test_a_goal_is_met_on_its_side_and_exactly_at_it(value: float, sense: Sense, met: bool):
    assert Goal("g", value, sense, 1.3).is_met is met


def test_turns_alternate_and_warm_up_does_not_count():
    order: list[str] = []

    def turn(label: str):
        def run():
            order.append(label)
            return {label: float(len(order))}

        return run

    samples = run_rounds([turn("a"), turn("b")], rounds=3, warmup=1)
    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert samples == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_a_turn_may_measure_several_things_or_nothing():
    samples = run_rounds([lambda: {"a": 1.0, "b": 2.0}, dict], rounds=2)
    assert samples == {"a": [1.0, 1.0], "b": [2.0, 2.0]}


def test_timed_divides_by_the_repeats(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0, 12_000_000])
    monkeypatch.setattr("benchmarks.common.time.perf_counter_ns", lambda: next(clock))
    calls: list[int] = []
    assert timed("a", lambda: calls.append(1), repeats=4)() == {"a": 3.0}
    assert len(calls) == 4


def test_progress_is_silent_where_nobody_looks(capsys: pytest.CaptureFixture[str]):
    run_rounds([lambda: {"a": 1.0}], rounds=2)
    assert capsys.readouterr() == ("", "")
