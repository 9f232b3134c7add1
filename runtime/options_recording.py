"""Which pictures to keep, without boxes, to calibrate or train on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import positive
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import UsageError
from runtime.option_types import add_group, number_from
from runtime.option_values import one_of, size_in_bytes
from runtime.options_outputs import check_folder
from runtime.recording import RecordingOptions, RecordWhen

RECORD_EVERY = 30  # one a second of most cameras: neighbours in time teach nothing new
RECORD_MOST = 512  # more than calibration needs
# About a coin toss, down to the default of --score, below which no box is seen.
RECORD_LOW, RECORD_HIGH = 0.3, 0.5


@dataclass(frozen=True)
class RecordOptions:
    """What to record.

    Attributes:
        record: The folder; None for no recording.
        record_when: Which pictures.
        record_every: At most one of so many pictures of a camera.
        record_most: Most pictures; None for 512, or for no limit with a budget.
        record_low: Lowest score of a box that the network is unsure of.
        record_high: Highest score of such a box.
        record_budget: Most bytes in the folder; None for no limit.
        record_full: What happens when the budget is used up.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    record: Path | None
    record_when: RecordWhen
    record_every: int
    record_most: int | None
    record_low: float
    record_high: float
    record_budget: int | None
    record_full: WhenFull

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        self.check_apart_from([])
        if self.record_low > self.record_high:
            raise UsageError(
                f"--record-low {self.record_low:g} is above --record-high {self.record_high:g}; "
                "expected a range of scores"
            )
        if self.record_full is WhenFull.DROP_OLDEST and self.record_budget is None:
            raise UsageError(
                "--record-full drop-oldest needs to know when the folder is full; add "
                "--record-budget, such as 2GB"
            )

    def check_apart_from(self, folders: Iterable[tuple[str, str | Path]]) -> None:
        """Refuse a folder that is read, too, or a file; see ``check_folder``."""
        if self.record is not None:
            check_folder("--record", self.record, folders)

    @property
    def recording(self) -> RecordingOptions | None:
        """What the sink needs to know; None without recording."""
        if self.record is None:
            return None
        no_limit = self.record_most is None and self.record_budget is not None
        return RecordingOptions(
            folder=self.record,
            every=self.record_every,
            most=None if no_limit else self.record_most or RECORD_MOST,
            when=self.record_when,
            uncertain_scores=(self.record_low, self.record_high),
            budget=BudgetOptions(self.record_budget, self.record_full),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "recording").add_argument
    add("--record", metavar="DIR", type=Path, help="keep pictures without boxes, to calibrate on")
    add(
        "--record-when",
        metavar="WHICH",
        type=one_of(RecordWhen),
        default=RecordWhen.EVERY,
        help="every (default): at a steady rate; uncertain: those with a box that the network is "
        "unsure of, to label and train on",
    )
    add(
        "--record-every",
        metavar="N",
        type=positive,
        default=RECORD_EVERY,
        help=f"keep at most one of N pictures; default {RECORD_EVERY}",
    )
    add(
        "--record-most",
        metavar="N",
        type=positive,
        help=f"keep at most N pictures; default {RECORD_MOST}, or any number with --record-budget",
    )
    for option, end, default in (
        ("--record-low", "lowest", RECORD_LOW),
        ("--record-high", "highest", RECORD_HIGH),
    ):
        add(
            option,
            metavar="SCORE",
            type=number_from(0.0, 1.0),
            default=default,
            help=f"{end} score of a box that the network is unsure of; default {default:g}",
        )
    add(
        "--record-budget",
        metavar="SIZE",
        type=size_in_bytes,
        help="most that the folder may hold, earlier recordings included, such as 2GB",
    )
    add(
        "--record-full",
        metavar="WHAT",
        type=one_of(WhenFull),
        default=WhenFull.STOP,
        help="when the budget is used up: stop (default) or drop-oldest",
    )
