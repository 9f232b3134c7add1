"""What the accuracy gate may be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.gate_options import GateOptions, add_gate_options, gate_options_from
from runtime.command_line import CommandParser
from runtime.errors import UsageError


def parsed(*words: str) -> GateOptions | None:
    parser = CommandParser(prog="gate")
    add_gate_options(parser)
    return gate_options_from(parser.parse_args(list(words)))


def test_a_gate() -> None:
    assert parsed("--max-ap-drop", "0.5", "--gate-data", "val") == GateOptions(0.5, Path("val"))
    words = ("--max-ap-drop", "0", "--gate-data", "val", "--gate-images", "9")
    assert parsed(*words) == GateOptions(0.0, Path("val"), 9)


def test_no_gate() -> None:
    assert parsed() is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-ap-drop", "1"], "got --max-ap-drop without --gate-data; .* add --gate-data"),
        (["--gate-data", "val"], "got --gate-data without --max-ap-drop; .* add --max-ap-drop"),
        (["--gate-images", "3"], "got --gate-images without --max-ap-drop"),
        (["--max-ap-drop", "-1", "--gate-data", "v"], "expected AP points from 0 to 100"),
        (["--max-ap-drop", "nan", "--gate-data", "v"], "expected AP points from 0 to 100"),
        (["--max-ap-drop", "much", "--gate-data", "v"], "got 'much'"),
    ],
)
def test_bad_options(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parsed(*words)
