"""``--print-config``: reads back to the same settings, says where they came from, hides secrets."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.option_types import add_group, size_hw
from runtime.options import build_parser
from runtime.settings_file import add_config_arguments, partial_parser, read_settings, tables_of
from runtime.settings_text import settings_text
from tests.runtime.option_parsers import small_parser

ODD = 'a "b" \\ c\t\x7f # é \U0001f4f7 = [x]'
# Of these every option takes one, mostly one that is not its default.
EXAMPLES = ("gate=0.1,0.5 0.9,0.5", "gate=0.1,0.1 0.9,0.1 0.9,0.9", "640x480", "3MB", "7", "0.25")
EXAMPLES += ("90", "every-3", "apart", "together", "drop", "center", "8080", "synthetic", "all")


def written(parser: CommandParser, words: list[str]) -> str:
    return settings_text(parser, read_settings(parser, words))


def effective(parser: CommandParser, words: list[str]) -> dict[str, object]:
    values = vars(read_settings(parser, words).namespace)
    return {name: value for name, value in values.items() if name != "config"}


def read_back(parser: CommandParser, text: str, folder: Path) -> dict[str, object]:
    file = folder / "printed.toml"
    file.write_text(text, "utf-8")
    return effective(parser, ["--config", str(file)])


def example_words(parser: CommandParser, action: argparse.Action) -> list[str]:
    """Return words that give an option a value other than its default, odd ones if it takes any."""
    option = action.option_strings[0]
    if action.nargs == 0:
        return [option]
    choices = [str(choice) for choice in action.choices or ()]
    known = [str(getattr(choice, "value", choice)) for choice in _enum_values(action)]
    odd = "${TOKEN}" if "token" in action.dest else ODD
    default = parser.get_default(action.dest)
    for text in (*choices, *known, odd, *EXAMPLES):
        try:
            value = vars(partial_parser(parser).parse_args([f"{option}={text}"]))[action.dest]
        except UsageError:
            continue
        if value != default:
            times = 2 if isinstance(action, argparse._AppendAction) else 1
            return [f"{option}={text}"] * times
    raise AssertionError(f"no example for {option}: add one to EXAMPLES")


def _enum_values(action: argparse.Action) -> list[object]:
    return list(type(action.default)) if hasattr(type(action.default), "__members__") else []


FULL = build_parser()
ACTIONS = {key: action for table in tables_of(FULL).values() for key, action in table.items()}


@pytest.mark.parametrize("key", ACTIONS)
def test_every_option_reads_back(key: str, tmp_path: Path) -> None:
    words = example_words(FULL, ACTIONS[key])
    expected = effective(FULL, words)
    assert expected != effective(FULL, [])
    text = written(FULL, words)
    assert read_back(FULL, text, tmp_path) == expected
    printed_again = written(FULL, ["--config", str(tmp_path / "printed.toml")])
    assert read_back(FULL, printed_again, tmp_path) == expected


def test_all_options_at_once_read_back(tmp_path: Path) -> None:
    words = [word for action in ACTIONS.values() for word in example_words(FULL, action)]
    assert read_back(FULL, written(FULL, words), tmp_path) == effective(FULL, words)


def test_defaults_are_comments_that_may_be_used(tmp_path: Path) -> None:
    text = written(FULL, [])
    assert read_back(FULL, text, tmp_path) == effective(FULL, [])
    lines = [line.removeprefix("# ") for line in text.splitlines() if " = " in line or "[" in line]
    used = "\n".join(lines)
    assert "score = 0.3" in lines
    assert read_back(FULL, used, tmp_path) == effective(FULL, [])


def test_choices_may_be_numbers_and_a_default_may_have_no_word() -> None:
    parser = CommandParser(prog="x")
    add_config_arguments(parser)
    group = add_group(parser, "a")
    group.add_argument("--turn", type=int, choices=(0, 90))
    group.add_argument("--wait", type=lambda text: 1000 * int(text), default=5000)
    group.add_argument("--size", type=size_hw, default=(480, 640))
    lines = written(parser, ["--turn", "90"]).splitlines()
    assert lines[-3:] == ["turn = 90  # command line", "# wait =", "# size ="]


def test_text_says_where_each_value_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(
        "[sources]\ncamera = ['gate=test://', '1']\nwait-for-cameras = true\n"
        "[model]\nscore = 0.5\nmax-frames = 3\n"
    )
    words = ["--config", "s.toml", "--score", "0.75", "--camera-size", "640x480"]
    lines = written(small_parser(), words).splitlines()
    table = lines.index("[sources]")
    assert lines[table + 1 : lines.index("[recording]")] == [
        'camera = ["gate=test://", "1"]  # s.toml:2',
        'camera-size = "640x480"  # command line',
        "wait-for-cameras = true  # s.toml:3",
        "",
        "[model]",
        "score = 0.75  # command line",
        '# backend = "auto"',
        "# artifact =",
        "max-frames = 3  # s.toml:6",
        "",
        "[web]",
        "# serve-token =",
        "# serve-token-file =",
        "",
    ]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            ["--camera", "a=rtsp://u:p@h/x?token=t0p", "--camera", "0"],
            '# camera = ["a=rtsp://u:***@h/x?token=***", "0"]  # command line; *** hides a secret',
        ),
        (["--serve-token", "t0p"], '# serve-token = "***"  # command line; *** hides a secret'),
        (["--serve-token", "a${T}"], '# serve-token = "***"  # command line; *** hides a secret'),
        (["--serve-token", "${T}"], 'serve-token = "${T}"  # command line'),
        (["--serve-token-file", "token.txt"], 'serve-token-file = "token.txt"  # command line'),
        (["--camera", "rtsp://u:${P}@h"], 'camera = ["rtsp://u:${P}@h"]  # command line'),
        (
            ["--camera", "rtsp://u:${P}@h/?pwd=p1"],
            '# camera = ["rtsp://u:${P}@h/?pwd=***"]  # command line; *** hides a secret',
        ),
        (
            ["--camera", "rtsp://u:${P}p1@h"],
            '# camera = ["rtsp://u:***@h"]  # command line; *** hides a secret',
        ),
    ],
)
def test_secrets_are_hidden_and_names_of_variables_are_not(words: list[str], shown: str) -> None:
    assert shown in written(small_parser(), words).splitlines()


def test_secrets_of_a_file_are_hidden_too(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[web]\nserve-token = 'geheim'\n[sources]\ncamera = 'rtsp://u:geheim@h'\n")
    text = written(small_parser(), ["--config", str(path)])
    assert "geheim" not in text
    assert read_settings(small_parser(), ["--config", str(path)]).namespace.serve_token == "geheim"


def test_file_names_in_another_encoding_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected UTF-8"):
        written(small_parser(), ["--artifact", "caf\udce9"])
