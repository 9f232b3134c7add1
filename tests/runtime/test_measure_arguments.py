"""The parser of ``measure.py``: its help, and values of single options."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.measure_arguments import build_parser
from runtime.terminal_lines import WIDTH


def test_help_tells_every_option_in_its_group() -> None:
    text = " ".join(build_parser().format_help().split())
    for title in ("model:", "frames:", "parts:", "results:"):
        assert title in text
    assert "p99>+5%" in text and "default 1 2 4 8" in text


def test_budgets_and_batches_may_be_several() -> None:
    words = "a b --batches 1 16 --fail-if p50>+5% --fail-if fps<-5%".split()
    namespace = build_parser().parse_args(words)
    assert namespace.artifact == [Path("a"), Path("b")] and namespace.batches == [1, 16]
    assert [budget.figure for budget in namespace.fail_if] == ["p50", "fps"]


def test_options_are_not_guessed_from_a_prefix() -> None:
    with pytest.raises(UsageError, match=r"unrecognized arguments: --live 3; see: measure\.py"):
        build_parser().parse_args(["a", "--live", "3"])


def test_a_device_root_must_be_a_folder(tmp_path: Path) -> None:
    namespace = build_parser().parse_args(["a", "--device-root", str(tmp_path)])
    assert namespace.device_root == tmp_path
    with pytest.raises(UsageError, match="expected a folder"):
        build_parser().parse_args(["a", "--device-root", str(tmp_path / "none")])


def test_help_fits_a_terminal_and_answers_by_example() -> None:
    text = build_parser().format_help()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "trtexec says 4 ms" in text and "'p99>+5%'" in text and "130 Ctrl-C" in text
