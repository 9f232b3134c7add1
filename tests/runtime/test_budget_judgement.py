"""Whether regression budgets were kept: with wide and narrow intervals, and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.budget_judgement import Outcome, exit_status, judge_budgets, outcome_of
from runtime.errors import UsageError
from runtime.measurement import Run
from runtime.regression_budget import parse_budget
from runtime.round_bootstrap import Interval, Pairing
from tests.fakes.frame_times import FrameTimes
from tests.fakes.measured import run_of

KEPT, BROKEN, NOT_JUDGED = Outcome.KEPT, Outcome.BROKEN, Outcome.NOT_JUDGED
ROUNDS = FrameTimes().rounds(np.random.default_rng(1), 10, 20)


def scaled(factor: float, artifact: str = "new.onnx") -> Run:
    """Return a run whose every frame took so many times as long as in ``ROUNDS``."""
    return run_of([[ms * factor for ms in one] for one in ROUNDS], artifact)


def judged(text: str, run: Run, reference: Run | None = None) -> tuple[Outcome, str]:
    """Judge one budget of one run that took turns with its reference."""
    (one,) = judge_budgets([parse_budget(text)], [run], [reference], Pairing.INTERLEAVED)
    return one.outcome, one.line


@pytest.mark.parametrize(
    ("text", "interval", "outcome"),
    [
        ("p99>+5%", (1.20, 1.06, 1.40), BROKEN),
        ("p99>+5%", (1.20, 1.04, 1.40), NOT_JUDGED),
        ("p99>+5%", (1.00, 0.80, 1.20), NOT_JUDGED),
        ("p99>+5%", (1.04, 1.00, 1.09), KEPT),  # on the limit, and fine enough
        ("p99>+5%", (1.06, 1.03, 1.10), KEPT),
        ("p99>+5%", (0.70, 0.50, 1.04), KEPT),  # wide, and wholly within
        ("p99>+25%", (1.00, 0.80, 1.20), KEPT),
        ("fps<-5%", (0.80, 0.70, 0.94), BROKEN),
        ("fps<-5%", (0.80, 0.70, 0.96), NOT_JUDGED),
        ("fps<-5%", (0.96, 0.93, 0.99), KEPT),
        ("fps<-5%", (1.50, 0.96, 2.00), KEPT),
        ("p99>20ms", (25.0, 20.1, 30.0), BROKEN),
        ("p99>20ms", (19.0, 15.0, 23.0), NOT_JUDGED),
        ("p99>20ms", (19.0, 18.0, 21.0), KEPT),
        ("p99>20ms", (10.0, 2.0, 19.0), KEPT),
    ],
)
def test_interval_and_limit_make_the_outcome(
    text: str, interval: tuple[float, float, float], outcome: Outcome
) -> None:
    assert outcome_of(parse_budget(text), Interval(*interval)) is outcome


def test_a_time_without_an_interval_is_never_kept_unjudged() -> None:
    assert outcome_of(parse_budget("p99>+5%"), Interval(0.5)) is NOT_JUDGED


@pytest.mark.parametrize(
    ("text", "value", "outcome"),
    [("max>20ms", 20.1, BROKEN), ("max>20ms", 20.0, KEPT), ("memory>+10%", 1.11, BROKEN)],
)
def test_single_values_decide_themselves(text: str, value: float, outcome: Outcome) -> None:
    assert outcome_of(parse_budget(text), Interval(value)) is outcome


@pytest.mark.parametrize(
    ("text", "factor", "outcome"),
    [
        ("p99>+5%", 1.10, BROKEN),
        ("p99>+5%", 1.04, KEPT),
        ("network.p50>+5%", 1.10, BROKEN),
        ("draw.mean>+5%", 1.0, KEPT),
        ("fps<-5%", 1.10, BROKEN),
        ("fps<-5%", 0.90, KEPT),
        ("max>+5%", 1.06, BROKEN),
        ("memory>+5%", 1.10, KEPT),
    ],
)
def test_artifacts_are_judged_against_their_reference(
    text: str, factor: float, outcome: Outcome
) -> None:
    assert judged(text, scaled(factor), scaled(1.0, "old.onnx"))[0] is outcome


def test_absolute_limits_take_no_reference() -> None:
    typical = scaled(1.0).journey.end_to_end.p50_ms
    assert judged(f"p50>{typical * 2:.3f}ms", scaled(1.0))[0] is KEPT
    assert judged(f"p50>{typical / 2:.3f}ms", scaled(1.0))[0] is BROKEN
    assert judged(f"fps<{500 / typical:.3f}", scaled(1.0))[0] is KEPT
    assert judged(f"fps<{2000 / typical:.3f}", scaled(1.0))[0] is BROKEN
    assert judged("memory>40MiB", scaled(1.0))[0] is KEPT
    assert judged("memory>39MiB", scaled(1.0))[0] is BROKEN


def test_the_baseline_itself_is_judged_by_absolute_limits_only() -> None:
    budgets = [parse_budget("p99>+5%"), parse_budget("p99>1000ms")]
    first, second = scaled(1.0, "a"), scaled(1.1, "b")
    found = judge_budgets(budgets, [first, second], [None, first], Pairing.INTERLEAVED)
    assert [(one.artifact, one.budget.text) for one in found] == [
        ("a", "p99>1000ms"),
        ("b", "p99>+5%"),
        ("b", "p99>1000ms"),
    ]
    assert exit_status(found) == 1
    assert exit_status([one for one in found if one.budget.text != "p99>+5%"]) == 0
    assert exit_status([]) == 0


def test_a_line_says_value_limit_interval_and_outcome() -> None:
    flat = run_of([[10.0] * 4] * 8, "old.onnx")
    line = judged("p99>+5%", run_of([[12.0] * 4] * 8, "new.onnx"), flat)[1]
    assert line == (
        "budget p99>+5% BROKEN: new.onnx: p99 12 ms, +20.0 % (95 % interval +20.0 % to +20.0 %) "
        "against old.onnx; fails above +5.0 %"
    )
    line = judged("fps<100", flat)[1]
    assert line == (
        "budget fps<100 kept: old.onnx: fps 100 FPS (95 % interval 100 FPS to 100 FPS); fails "
        "below 100 FPS"
    )
    assert (
        judged("max>20ms", flat)[1]
        == "budget max>20ms kept: old.onnx: max 10 ms; fails above 20 ms"
    )


def test_a_wide_interval_fails_and_says_what_helps() -> None:
    noisy = FrameTimes(own=0.3).rounds(np.random.default_rng(2), 8, 20)
    outcome, line = judged("p99>+5%", run_of(noisy), scaled_reference(8))
    assert outcome is NOT_JUDGED
    assert "the interval is too wide to tell; measure about" in line


def scaled_reference(rounds: int) -> Run:
    """Return a reference of as many rounds."""
    return run_of(ROUNDS[:rounds], "old.onnx")


def test_few_rounds_fail_and_say_what_helps() -> None:
    outcome, line = judged("p99>+5%", run_of(ROUNDS[:5]), scaled_reference(5))
    assert outcome is NOT_JUDGED
    assert "fewer than 7 rounds give no interval" in line


def test_a_run_without_its_frames_is_not_judged() -> None:
    run = scaled(1.0)
    bare = replace(run, journey=replace(run.journey, rounds_ms=()))
    assert judged("p99>+5%", run, bare)[0] is NOT_JUDGED
    assert judged("p99>20ms", bare)[0] is NOT_JUDGED


def test_what_was_not_measured_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"has no stage 'publish'; expected one of network"):
        judged("publish.p50>1ms", scaled(1.0))
    without = replace(scaled(1.0), memory=None)
    with pytest.raises(UsageError, match=r"the memory of new\.onnx was not measured"):
        judged("memory>1MiB", without)


def test_earlier_rounds_are_not_paired_with_todays() -> None:
    reference, budget = scaled(1.0, "old.onnx"), parse_budget("p50>+5%")
    halves = {
        pairing: judge_budgets([budget], [scaled(1.0)], [reference], pairing)[0].found.half_width
        for pairing in Pairing
    }
    assert halves[Pairing.INTERLEAVED] == 0
    assert (halves[Pairing.SEPARATE] or 0) > 0.01


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_change_fails_rarely_and_three_times_the_limit_nearly_always() -> None:
    # Half widths are about 4 %: fine enough for this budget.
    rng, budget, nature = np.random.default_rng(7), parse_budget("p50>+8%"), FrameTimes(own=0.03)
    failed = {1.0: 0, 1.24: 0}
    trials = 100
    for _ in range(trials):
        own, base = nature.pair(rng, 10, 20)
        for factor in failed:
            run = run_of([[ms * factor for ms in one] for one in own])
            (one,) = judge_budgets([budget], [run], [run_of(base)], Pairing.INTERLEAVED)
            failed[factor] += one.outcome is not KEPT
    assert failed[1.0] / trials <= 0.1, failed
    assert failed[1.24] / trials >= 0.95, failed


def test_a_budget_that_is_not_judged_says_how_many_more_rounds_it_takes() -> None:
    frames = FrameTimes(own=0.2).pair(np.random.default_rng(2), 10, 20)
    budget = parse_budget("p50>+5%")
    runs = [run_of(rounds) for rounds in frames]
    (one,) = judge_budgets([budget], runs[:1], runs[1:], Pairing.INTERLEAVED)
    half_width = one.found.half_width
    assert one.outcome is NOT_JUDGED and half_width is not None
    times = (half_width / 0.05) ** 2  # an interval narrows with the root of the rounds
    assert f"measure about {times:.1f} times as many rounds" in one.line
