"""The grammar of regression budgets, and what is refused before measuring."""

from __future__ import annotations

import argparse

import pytest

from runtime.errors import UsageError
from runtime.regression_budget import Budget, Sense, Unit, check_budgets, parse_budget

CHANGE, MS = Unit.CHANGE, Unit.MILLISECONDS


@pytest.mark.parametrize(
    ("text", "stage", "figure", "sense", "limit", "unit"),
    [
        ("p99>+5%", "", "p99", Sense.ABOVE, 1.05, CHANGE),
        ("p50 > +2.5 %", "", "p50", Sense.ABOVE, 1.025, CHANGE),
        ("mean>-10%", "", "mean", Sense.ABOVE, 0.9, CHANGE),
        ("p95<-50%", "", "p95", Sense.BELOW, 0.5, CHANGE),
        ("max>100ms", "", "max", Sense.ABOVE, 100, MS),
        ("network.p50>+0%", "network", "p50", Sense.ABOVE, 1, CHANGE),
        ("soft-NMS.p90>1.5ms", "soft-NMS", "p90", Sense.ABOVE, 1.5, MS),
        ("Soft_nms.p90>1.5ms", "soft-NMS", "p90", Sense.ABOVE, 1.5, MS),
        ("copy-in.mean>1ms", "copy in", "mean", Sense.ABOVE, 1, MS),
        ("fps<-5%", "", "fps", Sense.BELOW, 0.95, CHANGE),
        ("fps<30", "", "fps", Sense.BELOW, 30, Unit.PER_SECOND),
        ("memory>+10%", "", "memory", Sense.ABOVE, 1.1, CHANGE),
        ("memory>500MiB", "", "memory", Sense.ABOVE, 500, Unit.MEBIBYTES),
    ],
)
def test_a_budget_is_read(
    text: str, stage: str, figure: str, sense: Sense, limit: float, unit: Unit
) -> None:
    budget = parse_budget(text)
    assert budget == Budget(text, stage, figure, sense, pytest.approx(limit), unit)
    assert budget.is_relative == (unit is CHANGE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99", "expected FIGURE>LIMIT, such as"),
        ("p99", "put quotes around it: the shell takes > for a file"),
        ("", "expected FIGURE>LIMIT"),
        ("p99>", "expected FIGURE>LIMIT"),
        ("p99>=5%", "expected FIGURE>LIMIT"),
        ("p99>5", "a limit of p99 such as +5%, -5% or 20ms"),
        ("p99>5%", "a limit of p99 such as +5%"),
        ("p99>+5ms", "a limit of p99 such as +5%"),
        ("p99>20MiB", "a limit of p99 such as +5%"),
        ("p99>20s", "expected FIGURE>LIMIT"),
        ("p99>1e3ms", "expected FIGURE>LIMIT"),
        ("p99>nanms", "expected FIGURE>LIMIT"),
        ("p98>+5%", "figure 'p98'; expected one of p50, p90, p95, p99, mean, max, fps, memory"),
        ("decode.p50>+5%", "stage 'decode'; expected one of capture, letterbox"),
        ("network.fps<-5%", "fps is not a stage's"),
        ("fps<30ms", "a limit of fps such as +5%, -5% or 30"),
        ("memory>500", "a limit of memory such as +5%, -5% or 500MiB"),
        ("p99<-100%", "expected a limit above zero"),
        ("p99>0ms", "expected a limit above zero"),
        (".p99>+5%", "expected FIGURE>LIMIT"),
    ],
)
def test_a_mistake_is_one_clear_line(text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse_budget(text)
    message = str(caught.value)
    assert message.startswith(f"got {text!r}")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "resolution"),
    [("p99>+5%", 0.05), ("fps<-8%", 0.08), ("p99>+0%", 0.02), ("p99>20ms", 2.0), ("fps<30", 3.0)],
)
def test_the_allowed_change_says_how_fine_an_interval_must_be(text: str, resolution: float) -> None:
    assert parse_budget(text).resolution == pytest.approx(resolution)


def test_a_change_needs_something_to_compare_with() -> None:
    relative, absolute = parse_budget("p99>+5%"), parse_budget("p99>20ms")
    with pytest.raises(UsageError, match=r"--fail-if p99>\+5% got one artifact and no baseline"):
        check_budgets([relative], artifacts=1, rounds=10, has_file=False)
    check_budgets([absolute], artifacts=1, rounds=10, has_file=False)
    check_budgets([relative], artifacts=2, rounds=10, has_file=False)
    check_budgets([relative], artifacts=1, rounds=10, has_file=True)


def test_figures_with_an_interval_need_rounds() -> None:
    with pytest.raises(UsageError, match="got 6 rounds; expected at least 7"):
        check_budgets([parse_budget("fps<30")], artifacts=1, rounds=6, has_file=False)
    check_budgets([parse_budget("fps<30")], artifacts=1, rounds=7, has_file=False)
    single = [parse_budget("max>20ms"), parse_budget("memory>500MiB")]
    check_budgets(single, artifacts=1, rounds=1, has_file=False)
