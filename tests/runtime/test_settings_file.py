"""Settings files: they mean what the command line means, give way to it, and complain by line."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.options import build_parser
from runtime.settings_file import Settings, parse_with_settings, read_settings, tables_of
from tests.runtime.option_parsers import small_parser

EXAMPLE = Path(__file__).parents[2] / "docs" / "stream.toml"


Write = Callable[[str], int]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return what writes s.toml into the working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda text: Path("s.toml").write_text(text, "utf-8")


def parse(*words: str) -> Namespace:
    return parse_with_settings(small_parser(), ["--config", "s.toml", *words])


def error_of(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(*words)
    return str(caught.value)


def test_without_a_file_nothing_changes() -> None:
    words = ["--camera", "0", "--camera", "1", "--score", "0.5"]
    assert parse_with_settings(small_parser(), words) == small_parser().parse_args(words)
    with pytest.raises(UsageError, match=r"argument --score: got '2'"):
        parse_with_settings(small_parser(), ["--score", "2"])


def test_own_command_line_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["stream.py", "--score", "0.7"])
    assert parse_with_settings(small_parser()).score == 0.7


def test_file_means_what_the_command_line_means(write: Write) -> None:
    write(
        "[sources]\ncamera = ['gate=rtsp://u:${PW}@h/x', '0']\ncamera-size = '1280x720'\n"
        "wait-for-cameras = true\n[model]\nscore = 0.5\nbackend = 'synthetic'\nmax-frames = 7\n"
        "artifact = '-odd name'\n"
    )
    words = ["--camera", "gate=rtsp://u:${PW}@h/x", "--camera", "0", "--camera-size", "1280x720"]
    words += ["--wait-for-cameras", "--score", "0.5", "--backend", "synthetic", "--max-frames", "7"]
    expected = small_parser().parse_args([*words, "--artifact=-odd name"])
    expected.config = Path("s.toml")
    assert parse() == expected


def test_one_value_of_a_repeatable_option_and_numbers_as_words(write: Write) -> None:
    write("[sources]\ncamera = 0\n[model]\nscore = '0.5'\nmax-frames = '3'\n")
    found = parse()
    assert (found.camera, found.score, found.max_frames) == (["0"], 0.5, 3)


def test_flags_and_empty_tables(write: Write) -> None:
    write("[web]\n[sources]\nwait-for-cameras = false\ncamera = []\n")
    found = parse()
    assert found.wait_for_cameras is False
    assert found.camera == []


def test_home_folder_is_found_and_other_paths_stay(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    write("[model]\nartifact = '~/m.engine'\n[recording]\nrecord = 'a/~/b'\n")
    found = parse()
    assert (found.artifact, found.record) == (Path("/home/someone/m.engine"), Path("a/~/b"))


def test_command_line_wins_and_replaces_lists(write: Write) -> None:
    write("[sources]\ncamera = ['a', 'b']\n[model]\nscore = 0.5\nmax-frames = 7\n")
    found = parse("--camera", "c", "--score", "0.9")
    assert (found.camera, found.score, found.max_frames) == (["c"], 0.9, 7)
    # Even where it says the default, and where the option is abbreviated.
    assert parse("--scor", "0.3").score == 0.3


def test_command_line_sets_aside_what_excludes_it(write: Write) -> None:
    write("[recording]\nrecord = 'pictures'\n")
    found = parse("--no-record")
    assert (found.record, found.no_record) == (None, True)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[model]\n\nscore = 2\n", 3, "argument --score: got '2'; expected a number from 0 to 1"),
        ("[model]\nbackend = 'x'\n", 2, "argument --backend: invalid choice: 'x'"),
        ("[model]\nmax-frames = 2.5\n", 2, "argument --max-frames: got '2.5'; expected a whole"),
        ("[model]\nmax-frames = -1\n", 2, "argument --max-frames: got '-1'; expected a whole"),
        ("[model]\nscore = nan\n", 2, "argument --score: got 'nan'"),
        ("[model]\nscore = true\n", 2, "got true or false; expected a string or number"),
        ("[model]\nscore = [0.5]\n", 2, "got a list; expected a string or number"),
        ("[model]\nscore = {x = 1}\n", 2, "got a table; expected a string or number"),
        ("[model.score]\nx = 1\n", 1, "got a table; expected a string or number"),
        ("[model]\nscore = 2026-11-22\n", 2, "got a date or time; expected a string or number"),
        ("[sources]\nwait-for-cameras = 1\n", 2, "got a number; expected true or false"),
        ("[sources]\nwait-for-cameras = 'yes'\n", 2, "got a string; expected true or false"),
        ("[sources]\ncamera = ['0', ['1']]\n", 2, "got a list; expected a string or number, or a"),
        ("[sources]\ncamera = [\n'0',\nfalse]\n", 2, "got true or false; expected a string or"),
        ("[sources]\ncamra = '0'\n", 2, "unknown key camra in [sources]; expected camera"),
        (
            "[sources]\ncamera_size = '1x1'\n",
            2,
            "unknown key camera_size in [sources]; expected ca",
        ),
        ("[sources]\nxyz = 1\n", 2, "expected one of camera, camera-size, wait-for-cameras"),
        ("[sources]\nscore = 1\n", 2, "got score in [sources]; expected it in [model]"),
        ("[web]\n[sorces]\ncamera = '0'\n", 2, "unknown table [sorces]; expected [sources]"),
        ("[xyz]\n", 1, "expected one of [sources], [model], [web], [recording]"),
        ("camera = '0'\n", 1, "got camera outside its table; expected it below [sources]"),
        ("doctor = true\n", 1, "got the unknown table [doctor]; expected one of"),
        ("[[sources]]\ncamera = '0'\n", 1, "got sources as a value or list; expected the table"),
        ("sources = 1\n", 1, "got sources as a value or list; expected the table [sources]"),
        ("[recording]\nrecord = 'x'\nno-record = true\n", 3, "no-record beside record of s.toml:2"),
        ("[model]\nscore = \n", 2, "not TOML: Invalid value"),
    ],
)
def test_errors_name_file_and_line(write: Write, text: str, line: int, message: str) -> None:
    write(text)
    error = error_of()
    assert error.startswith(f"s.toml:{line}: ")
    assert message in error


def test_file_is_checked_even_where_the_command_line_wins(write: Write) -> None:
    write("[model]\nscore = 2\n")
    assert error_of("--score", "0.5").startswith("s.toml:2: ")


def test_errors_of_the_command_line_name_no_line(write: Write) -> None:
    write("[model]\nscore = 0.5\n")
    assert error_of("--score", "2").startswith("argument --score: got '2'")
    assert error_of("--record", "x", "--no-record").startswith("argument --no-record: not allowed")


def test_file_that_is_not_there(write: Write) -> None:
    assert error_of() == (
        "cannot read s.toml (No such file or directory); expected a TOML file of settings"
    )


def test_required_options_may_stand_in_either(write: Write) -> None:
    parser = small_parser()
    next(action for action in parser._actions if action.dest == "artifact").required = True
    write("[model]\nartifact = 'm'\n")
    assert parse_with_settings(parser, ["--config", "s.toml"]).artifact == Path("m")
    write("[model]\n")
    assert (
        parse_with_settings(parser, ["--config", "s.toml", "--artifact", "n"]).artifact.name == "n"
    )
    with pytest.raises(UsageError, match=r"^with s\.toml: .*required: --artifact"):
        parse_with_settings(parser, ["--config", "s.toml"])


def test_the_parser_stays_as_it_was(write: Write) -> None:
    write("[sources]\ncamera = ['a']\n")
    parser = small_parser()
    for _ in range(2):
        assert parse_with_settings(parser, ["--config", "s.toml"]).camera == ["a"]
    assert parser.parse_args([]) == small_parser().parse_args([])


def settings(write: Write, text: str, *words: str) -> Settings:
    write(text)
    return read_settings(small_parser(), ["--config", "s.toml", *words])


def test_later_errors_name_the_lines_of_options_in_the_file(write: Write) -> None:
    found = settings(write, "[model]\nscore = 0.5\nartifact = 'x'\n", "--artifact", "y")
    message = "--score and --score-x and --artifact and a--score: --score"
    with pytest.raises(UsageError) as caught, found.errors_with_lines():
        raise UsageError(message)
    assert (
        str(caught.value) == "--score (s.toml:2) and --score-x and --artifact and a--score: --score"
    )
    with pytest.raises(OSError, match="--score"), found.errors_with_lines():
        raise OSError("--score")


def test_every_option_has_a_table_and_a_form_that_files_can_hold() -> None:
    kinds = {"_StoreAction", "_StoreTrueAction", "_AppendAction"}
    tables = tables_of(build_parser())
    assert tables["sources"].keys() >= {"camera", "video", "images", "stall-timeout"}
    for table, actions in tables.items():
        for key, action in actions.items():
            assert type(action).__name__ in kinds, f"{table}.{key}"
            assert action.nargs in (None, 0), f"{table}.{key}"
    keys = [key for actions in tables.values() for key in actions]
    assert len(keys) == len(set(keys))


def test_example_is_valid_and_sets_something() -> None:
    found = parse_with_settings(build_parser(), ["--config", str(EXAMPLE)])
    assert found.camera


def test_example_shows_every_table_and_its_suggestions_are_valid_too(tmp_path: Path) -> None:
    """A line such as ``#key = value`` is to be used by taking the mark away."""
    text = re.sub(r"^#(?=[a-z-]+ =|\[)", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    path = tmp_path / "all.toml"
    path.write_text(text, "utf-8")
    found = read_settings(build_parser(), ["--config", str(path)]).from_file
    for table, actions in tables_of(build_parser()).items():
        assert found.keys() & {action.dest for action in actions.values()}, table
