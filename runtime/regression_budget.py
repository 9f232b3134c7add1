"""Regression budgets: when a measurement fails a build, as in ``--fail-if "p99>+5%"``.

This is the grammar; ``runtime/budget_judgement.py`` says when a budget was kept.
"""

from __future__ import annotations

import argparse
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import UsageError
from runtime.round_bootstrap import FIGURES, MIN_ROUNDS
from runtime.spans import STAGES

FRAME_RATE = "fps"
MEMORY = "memory"
LONGEST = "max"
TIMES = (*FIGURES, LONGEST)
# "+1%" asks for a finer interval than most machines give in minutes, "+0%" for one of no width.
FINEST_RELATIVE = 0.02
# An absolute limit names no change that is allowed: whoever writes 20 ms does not mean 22.
ABSOLUTE_RESOLUTION = 0.10

_BUDGET = re.compile(
    r"(?:(?P<stage>[^.<>]+)\.)?(?P<figure>[a-z0-9]+)\s*(?P<sense>[<>])\s*"
    r"(?P<sign>[+-]?)(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms|MiB|)"
)
_EXPECTED = 'such as "p99>+5%", "network.p50>20ms", "fps<-5%" or "memory>+10%"'


class Sense(enum.Enum):
    """On which side of its limit a figure breaks a budget."""

    ABOVE = ">"
    BELOW = "<"


class Unit(enum.Enum):
    """What a limit is given in."""

    CHANGE = "%"  # of the baseline's figure
    MILLISECONDS = "ms"
    MEBIBYTES = "MiB"
    PER_SECOND = ""


@dataclass(frozen=True)
class Budget:
    """What may not happen.

    Attributes:
        text: As it was given.
        stage: One of ``STAGES``; "" for all of a frame's way.
        figure: One of ``TIMES``, "fps" or "memory".
        sense: On which side of the limit it is broken.
        limit: A ratio to the baseline for ``Unit.CHANGE``, such as 1.05; else in ``unit``.
        unit: What the limit is given in.
    """

    text: str
    stage: str
    figure: str
    sense: Sense
    limit: float
    unit: Unit

    @property
    def label(self) -> str:
        """The figure as it is named elsewhere: "network p50"."""
        return f"{self.stage} {self.figure}".strip()

    @property
    def is_relative(self) -> bool:
        """Whether it takes a baseline."""
        return self.unit is Unit.CHANGE

    @property
    def has_interval(self) -> bool:
        """Whether it takes rounds: all figures do that are no single value."""
        return self.figure in (*FIGURES, FRAME_RATE)

    @property
    def resolution(self) -> float:
        """The largest half width of an interval that still judges, in the unit of ``limit``."""
        if self.is_relative:
            return max(abs(self.limit - 1), FINEST_RELATIVE)
        return ABSOLUTE_RESOLUTION * self.limit


def parse_budget(text: str) -> Budget:
    """Return one ``--fail-if``; a ``type`` for the parser.

    Args:
        text: FIGURE>LIMIT or FIGURE<LIMIT. A figure is p50, p90, p95, p99, max or mean, of one
            stage with its name before a dot; fps, which is 1000 over the mean; or memory. A limit
            is a change in per cent with its sign, or milliseconds, frames per second or MiB.

    Raises:
        argparse.ArgumentTypeError: If it is anything else, in one line.
    """
    found = _BUDGET.fullmatch(text.strip())
    if found is None:
        # An unquoted ">" is the shell's: what follows became a file, and the figure came alone.
        quote = (
            ""
            if re.search("[<>]", text)
            else "; put quotes around it: the shell takes > for a file"
        )
        raise argparse.ArgumentTypeError(f"got {text!r}; expected FIGURE>LIMIT, {_EXPECTED}{quote}")
    figure, stage = found["figure"], _stage(text, found["stage"] or "")
    if figure not in (*TIMES, FRAME_RATE, MEMORY):
        raise argparse.ArgumentTypeError(
            f"got {text!r} with figure {figure!r}; expected one of "
            f"{', '.join((*TIMES, FRAME_RATE, MEMORY))}"
        )
    if stage and figure not in TIMES:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; {figure} is not a stage's; expected {figure} alone, or one of "
            f"{', '.join(TIMES)}"
        )
    unit = _unit(text, figure, found["unit"], found["sign"])
    number = float(found["sign"] + found["number"])
    limit = 1 + number / 100 if unit is Unit.CHANGE else number
    if limit <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a limit above zero")
    return Budget(text.strip(), stage, figure, Sense(found["sense"]), limit, unit)


def _stage(text: str, name: str) -> str:
    """Return a stage as ``STAGES`` spells it; case, hyphens and spaces are the same to us."""
    plain = {stage.lower().replace("-", " "): stage for stage in STAGES}
    stage = plain.get(name.lower().replace("-", " ").replace("_", " ")) if name else ""
    if stage is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r} with stage {name!r}; expected one of {', '.join(STAGES)}"
        )
    return stage


def _unit(text: str, figure: str, unit: str, sign: str) -> Unit:
    """Return the limit's unit, if the figure has it."""
    absolute = {FRAME_RATE: Unit.PER_SECOND, MEMORY: Unit.MEBIBYTES}.get(figure, Unit.MILLISECONDS)
    example = {FRAME_RATE: "30", MEMORY: "500MiB"}.get(figure, "20ms")
    if unit == Unit.CHANGE.value and sign:
        return Unit.CHANGE
    if unit != absolute.value or sign:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a limit of {figure} such as +5%, -5% or {example}"
        )
    return absolute


def check_budgets(budgets: Sequence[Budget], artifacts: int, rounds: int, has_file: bool) -> None:
    """Refuse budgets that could not be judged, before the long measurement and not after it.

    Args:
        budgets: What was asked for.
        artifacts: How many will be measured.
        rounds: In how many rounds that count.
        has_file: Whether an earlier measurement is the baseline.

    Raises:
        UsageError: If a relative one has nothing to be compared with, or rounds are too few.
    """
    for budget in budgets:
        if budget.is_relative and artifacts < 2 and not has_file:
            raise UsageError(
                f"--fail-if {budget.text} got one artifact and no baseline; expected something to "
                "compare with: name a second artifact, or an earlier measurement: --baseline F.json"
            )
        if budget.has_interval and rounds < MIN_ROUNDS:
            raise UsageError(
                f"--fail-if {budget.text} got {rounds} rounds; expected at least {MIN_ROUNDS}: "
                "fewer give no interval; measure more rounds"
            )
