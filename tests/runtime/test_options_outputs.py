"""Which files to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.line_files import Rotation
from runtime.option_types import group_from
from runtime.options_outputs import OutputOptions, add_arguments, check_folder


def parse(text: str) -> OutputOptions:
    parser = CommandParser(prog="x")
    add_arguments(parser)
    return group_from(OutputOptions, parser.parse_args(text.split()))


def test_nothing_is_written_unless_asked_for() -> None:
    options = parse("")
    assert options.files == {}
    assert not options.show
    assert options.rotation == Rotation(10**8, None, 10)


def test_every_option_is_taken() -> None:
    options = parse(
        "--save o.mp4 --jsonl o.jsonl --csv o.csv --contact-sheet o.png --summary-json o.json "
        "--show --rotate-size 0 --rotate-age 1h --rotate-keep 3"
    )
    assert options.files == {
        "--save": Path("o.mp4"),
        "--jsonl": Path("o.jsonl"),
        "--csv": Path("o.csv"),
        "--contact-sheet": Path("o.png"),
        "--summary-json": Path("o.json"),
    }
    assert options.show
    assert options.rotation == Rotation(None, 3600.0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--save out.avi", r"--save got out\.avi; .* ends in \.mp4"),
        ("--contact-sheet out.jpg", r"ends in \.png"),
        ("--save a.mp4 --jsonl ./a.mp4", r"--jsonl and --save both name a\.mp4; choose two files"),
        ("--csv a --jsonl a", "--csv and --jsonl both name a"),
        ("--jsonl /", "--jsonl got /, a folder"),
        ("--rotate-size many", "got 'many'; expected bytes"),
        ("--rotate-age soon", "got 'soon'; expected a time"),
        ("--rotate-keep 0", "got '0'; expected a whole number from 1"),
    ],
)
def test_what_makes_no_sense_is_one_error(arguments: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(arguments)


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    options = parse(f"--save {tmp_path}/a.mp4")
    options.check_apart_from([("--video", tmp_path / "b.mp4"), ("--video", tmp_path / "c.mp4")])
    with pytest.raises(UsageError, match=r"--save and --video both name .*a\.mp4; choose two"):
        options.check_apart_from([("--video", tmp_path / "x" / ".." / "a.mp4")])


def test_a_folder_of_pictures_has_one_use(tmp_path: Path) -> None:
    check_folder("--record", tmp_path / "new", [("--images", str(tmp_path))])
    with pytest.raises(UsageError, match=r"--record and --images both name .*; choose two"):
        check_folder("--record", tmp_path, [("--images", f"{tmp_path}/./")])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--record got .*file, a file; expected a folder"):
        check_folder("--record", tmp_path / "file", [])
