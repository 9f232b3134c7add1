"""Lines that fit a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 100


def wrap_line(text: str, width: int = WIDTH) -> list[str]:
    """Return a text in lines of at most some columns, the later ones two columns further in.

    A word that is longer, such as a path, stays whole: it is copied.
    """
    lead = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=f"{lead}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def cut_line(line: str, width: int = WIDTH) -> str:
    """Return a line of at most some columns; a longer one ends in a mark."""
    return line if len(line) <= width else f"{line[: width - 1]}…"
