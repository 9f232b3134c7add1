"""When to keep a single picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_snapshots import SnapshotOptions, add_arguments
from runtime.sink_snapshots import SnapshotEvent, SnapshotPicture, SnapshotSettings


def parse(text: str) -> SnapshotOptions:
    parser = CommandParser(prog="x")
    add_arguments(parser)
    return group_from(SnapshotOptions, parser.parse_args(text.split()))


def test_there_are_none_unless_asked_for() -> None:
    assert parse("").settings is None


def test_a_folder_is_enough() -> None:
    assert parse("--snapshots s").settings == SnapshotSettings(
        *(Path("s"), SnapshotEvent.DETECTION, (), 0.0, 10.0, SnapshotPicture.ANNOTATED),
        BudgetOptions(10**9, WhenFull.DROP_OLDEST),
    )


def test_every_option_is_taken() -> None:
    text = (
        "--snapshots s --snapshot-on crossing --snapshot-class car --snapshot-class bus "
        "--snapshot-score 0.6 --snapshot-cooldown 1min --snapshot-picture plain "
        "--snapshot-budget 5MB"
    )
    assert parse(text).settings == SnapshotSettings(
        *(Path("s"), SnapshotEvent.CROSSING, ("car", "bus"), 0.6, 60.0, SnapshotPicture.PLAIN),
        BudgetOptions(5 * 10**6, WhenFull.DROP_OLDEST),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--snapshots pyproject.toml", r"--snapshots got pyproject\.toml, a file"),
        ("--snapshots s --snapshot-on noise", "expected detection or track or crossing"),
        ("--snapshots s --snapshot-picture both", "expected annotated or plain"),
        ("--snapshots s --snapshot-score 2", "got '2'; expected a number from 0 to 1"),
        ("--snapshots s --snapshot-cooldown never", "got 'never'; expected a time"),
    ],
)
def test_what_makes_no_sense_is_one_error(arguments: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(arguments)


def test_the_folder_has_one_use() -> None:
    parse("").check_apart_from([("--record", "docs")])
    with pytest.raises(UsageError, match="--snapshots and --record both name docs"):
        parse("--snapshots docs").check_apart_from([("--record", Path("docs"))])


@pytest.mark.parametrize(
    ("event", "tracks", "has_lines", "missing"),
    [
        ("detection", False, False, ""),
        ("track", False, False, "--track"),
        ("track", True, False, ""),
        ("crossing", True, False, "--line"),
        ("crossing", True, True, ""),
    ],
)
def test_events_need_what_causes_them(
    event: str, tracks: bool, has_lines: bool, missing: str
) -> None:
    options = parse(f"--snapshots s --snapshot-on {event}")
    if not missing:
        options.check_tracking(tracks, has_lines)
        return
    with pytest.raises(UsageError, match=rf"--snapshot-on {event} needs .*; add {missing}$"):
        options.check_tracking(tracks, has_lines)
    parse(f"--snapshot-on {event}").check_tracking(tracks, has_lines)  # without a folder: unused
