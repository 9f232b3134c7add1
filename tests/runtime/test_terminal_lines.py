"""Lines that fit a terminal: wrapped with an indent, or cut with a mark."""

from __future__ import annotations

from runtime.terminal_lines import WIDTH, cut_line, wrap_line


def test_a_short_text_stays_as_it_is() -> None:
    assert wrap_line("  one line") == ["  one line"]
    assert cut_line("a" * WIDTH) == "a" * WIDTH


def test_a_long_text_goes_on_further_in() -> None:
    assert wrap_line("  ab cd ef", 7) == ["  ab cd", "    ef"]


def test_a_long_word_is_never_broken() -> None:
    assert wrap_line("see /a-path/too-long now", 8) == ["see", "  /a-path/too-long", "  now"]


def test_a_line_that_is_cut_says_so() -> None:
    assert cut_line("abcdef", 4) == "abc…"
