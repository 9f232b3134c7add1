"""Which pictures to keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_recording import RecordOptions, add_arguments
from runtime.recording import RecordingOptions, RecordWhen


def parse(text: str) -> RecordOptions:
    parser = CommandParser(prog="x")
    add_arguments(parser)
    return group_from(RecordOptions, parser.parse_args(text.split()))


def test_nothing_is_recorded_unless_asked_for() -> None:
    assert parse("").recording is None


def test_a_recording_for_calibration_needs_a_folder_only() -> None:
    assert parse("--record r").recording == RecordingOptions(
        Path("r"), 30, 512, RecordWhen.EVERY, (0.3, 0.5), BudgetOptions(None, WhenFull.STOP)
    )


def test_every_option_is_taken() -> None:
    text = (
        "--record r --record-when uncertain --record-every 5 --record-most 7 --record-low 0.2 "
        "--record-high 0.6 --record-budget 2GB --record-full drop-oldest"
    )
    assert parse(text).recording == RecordingOptions(
        *(Path("r"), 5, 7, RecordWhen.UNCERTAIN, (0.2, 0.6)),
        BudgetOptions(2 * 10**9, WhenFull.DROP_OLDEST),
    )


@pytest.mark.parametrize(
    ("text", "most"),
    [("", 512), ("--record-budget 2GB", None), ("--record-budget 2GB --record-most 9", 9)],
)
def test_a_budget_takes_the_place_of_the_usual_number(text: str, most: int | None) -> None:
    recording = parse(f"--record r {text}").recording
    assert recording is not None and recording.most == most


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--record pyproject.toml", r"--record got pyproject\.toml, a file; expected a folder"),
        ("--record r --record-every 0", "got '0'; expected a whole number from 1"),
        ("--record r --record-most 0", "got '0'; expected a whole number from 1"),
        ("--record r --record-when sometimes", "got 'sometimes'; expected every or uncertain"),
        ("--record r --record-full ignore", "got 'ignore'; expected stop or drop-oldest"),
        ("--record r --record-low 1.5", "got '1.5'; expected a number from 0 to 1"),
        ("--record r --record-low 0.6", r"--record-low 0\.6 is above --record-high 0\.5"),
        ("--record r --record-full drop-oldest", "needs to know .*; add --record-budget"),
    ],
)
def test_what_makes_no_sense_is_one_error(arguments: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(arguments)


def test_what_is_read_is_not_recorded_to() -> None:
    parse("").check_apart_from([("--images", "docs")])
    options = parse("--record docs")
    options.check_apart_from([("--images", "docs/*.png")])
    with pytest.raises(UsageError, match="--record and --images both name docs"):
        options.check_apart_from([("--images", "./docs")])
