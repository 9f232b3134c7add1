"""Was a regression budget kept? One line each, and the exit status of a gate.

A gate that goes by the figure alone is flaky: with no change at all, p99 of a busy machine is above
its limit in one run and below it in the next. A gate that fails only where the whole 95 % interval
is beyond the limit is quiet, and lets everything through where the interval is wide. So:

- The interval lies wholly beyond the limit: BROKEN. With a true change of exactly the limit that
  happens in one run of forty.
- It reaches beyond the limit and is too wide to tell: NOT JUDGED, which fails as well. Too wide is
  more than the allowed change to either side ("+5%": 5 %). So no measured change of more than
  twice the allowed one passes, and a true one of three times is caught in 39 of 40 runs. The width
  follows the machine's noise and the number of rounds, which stay much the same from run to run:
  this is not flaky, and the line says what helps.
- Else: kept.

"max" and "memory" are single values without an interval: the value itself decides. A gate on "max"
goes by one frame.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import UsageError
from runtime.latency import Latency
from runtime.measurement import Run
from runtime.regression_budget import FRAME_RATE, MEMORY, Budget, Sense, Unit
from runtime.round_bootstrap import (
    MIN_ROUNDS,
    Interval,
    Pairing,
    Rounds,
    figure_intervals,
    ratio_intervals,
)


class Outcome(enum.Enum):
    """What became of a budget; values are what users see."""

    KEPT = "kept"
    BROKEN = "BROKEN"
    NOT_JUDGED = "NOT JUDGED"


@dataclass(frozen=True)
class Judgement:
    """What became of one budget of one artifact.

    Attributes:
        budget: Which one.
        artifact: Of which one.
        found: What stands against the limit: a ratio to the baseline, or the figure itself.
        outcome: Whether it was kept.
        line: All of that, to be printed.
    """

    budget: Budget
    artifact: str
    found: Interval
    outcome: Outcome
    line: str


def judge_budgets(
    budgets: Sequence[Budget],
    runs: Sequence[Run],
    references: Sequence[Run | None],
    pairing: Pairing,
) -> tuple[Judgement, ...]:
    """Judge every budget of every artifact.

    Args:
        budgets: What was asked for.
        runs: What was measured.
        references: The baseline of each run: the first run for all others of the same measurement,
            or a run of an earlier one; None for a run that is the baseline itself.
        pairing: Whether runs and references took turns.

    Returns:
        By artifact, then by budget; relative ones only where there is a reference.

    Raises:
        UsageError: If a figure was not measured.
    """
    return tuple(
        _judge(budget, run, reference, pairing)
        for run, reference in zip(runs, references, strict=True)
        for budget in budgets
        if reference is not None or not budget.is_relative
    )


def exit_status(judgements: Sequence[Judgement]) -> int:
    """Return 1 if any budget was not kept, else 0."""
    return int(any(one.outcome is not Outcome.KEPT for one in judgements))


def outcome_of(budget: Budget, found: Interval) -> Outcome:
    """Return what a figure with its interval says of a budget; see the top of this file.

    Args:
        budget: Which one.
        found: A ratio to the baseline or a figure, in the unit of the budget's limit.
    """
    low, high = found.low, found.high
    if low is None or high is None:
        if budget.has_interval:
            return Outcome.NOT_JUDGED
        low = high = found.value
    if budget.sense is Sense.ABOVE:
        is_wholly_beyond, reaches_beyond = low > budget.limit, high > budget.limit
    else:
        is_wholly_beyond, reaches_beyond = high < budget.limit, low < budget.limit
    if is_wholly_beyond:
        return Outcome.BROKEN
    if reaches_beyond and (high - low) / 2 > budget.resolution:
        return Outcome.NOT_JUDGED
    return Outcome.KEPT


def _judge(budget: Budget, run: Run, reference: Run | None, pairing: Pairing) -> Judgement:
    own = found = _figure(budget, run)
    text = f"{budget.label} {_amount(budget, own.value)}"
    if budget.is_relative and reference is not None:
        found = _ratio(budget, run, reference, pairing)
        text += f", {_change(found.value)}"
    if found.low is not None and found.high is not None:
        text += f" (95 % interval {_limit(budget, found.low)} to {_limit(budget, found.high)})"
    if budget.is_relative and reference is not None:
        text += f" against {reference.artifact}"
    side = "above" if budget.sense is Sense.ABOVE else "below"
    text += f"; fails {side} {_limit(budget, budget.limit)}"
    outcome = outcome_of(budget, found)
    if outcome is Outcome.NOT_JUDGED:
        text += f"; {_why_not_judged(budget, found)}"
    line = f"budget {budget.text} {outcome.value}: {run.artifact}: {text}"
    return Judgement(budget, run.artifact, found, outcome, line)


def _ratio(budget: Budget, run: Run, reference: Run, pairing: Pairing) -> Interval:
    """Return a run's figure over its baseline's, with an interval if both have their rounds."""
    own, base = _rounds(budget, run), _rounds(budget, reference)
    if not budget.has_interval or not own or not base:
        least = 1e-9  # a stage below the clock's resolution, or memory that nothing was taken of
        value, reference_value = _figure(budget, run).value, _figure(budget, reference).value
        return Interval(max(value, least) / max(reference_value, least))
    figure = _time_figure(budget)
    ratio = ratio_intervals(own, base, pairing, (figure,))[figure]
    return ratio.inverse() if budget.figure == FRAME_RATE else ratio


def _figure(budget: Budget, run: Run) -> Interval:
    """Return a run's own figure, in milliseconds, frames per second or MiB."""
    if budget.figure == MEMORY:
        return Interval(_memory_mib(budget, run))
    figure, rounds = _time_figure(budget), _rounds(budget, run)
    if rounds and budget.has_interval:
        time = figure_intervals(rounds, (figure,))[figure]
    else:
        time = Interval(getattr(_latency(budget, run), f"{figure}_ms"))
    return time.inverse(1000) if budget.figure == FRAME_RATE else time


def _time_figure(budget: Budget) -> str:
    """Return the figure of the times; frames per second follow from their mean."""
    return "mean" if budget.figure == FRAME_RATE else budget.figure


def _latency(budget: Budget, run: Run) -> Latency:
    """Return the times that a budget is about.

    Raises:
        UsageError: If the run has no such stage.
    """
    if not budget.stage:
        return run.journey.end_to_end
    stages = {stage.stage: stage.latency for stage in run.journey.stages}
    if budget.stage not in stages:
        raise UsageError(
            f"--fail-if {budget.text}: {run.artifact} has no stage {budget.stage!r}; expected one "
            f"of {', '.join(stages)}"
        )
    return stages[budget.stage]


def _rounds(budget: Budget, run: Run) -> Rounds:
    """Return the same times by round; nothing where they were not kept."""
    _latency(budget, run)  # a stage that is not there is an error, not one without rounds
    if not budget.stage:
        return run.journey.rounds_ms
    return next(one.rounds_ms for one in run.journey.stages if one.stage == budget.stage)


def _memory_mib(budget: Budget, run: Run) -> float:
    """Return what an artifact takes: host memory by opening it, and all of the GPU's."""
    memory = run.memory
    if memory is None:
        raise UsageError(
            f"--fail-if {budget.text}: the memory of {run.artifact} was not measured; leave the "
            "budget out, or measure both again with memory"
        )
    device = memory.device_running or memory.device_open or 0
    return (max(0, memory.host_open - memory.host_before_open) + device) / 2**20


def _why_not_judged(budget: Budget, found: Interval) -> str:
    half_width = found.half_width
    if half_width is None:
        return f"fewer than {MIN_ROUNDS} rounds give no interval; measure more rounds"
    # An interval narrows with the square root of the rounds.
    times = (half_width / budget.resolution) ** 2
    return (
        f"the interval is too wide to tell; measure about {times:.1f} times as many rounds, on a "
        "quieter machine, or allow more"
    )


def _amount(budget: Budget, value: float) -> str:
    """Return a figure with its unit."""
    unit = {FRAME_RATE: "FPS", MEMORY: Unit.MEBIBYTES.value}.get(budget.figure, "ms")
    return f"{value:.4g} {unit}"


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _limit(budget: Budget, value: float) -> str:
    """Return a value on the limit's scale."""
    return _change(value) if budget.is_relative else _amount(budget, value)
