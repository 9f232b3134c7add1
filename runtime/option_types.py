"""Types of the command line's values, and what groups of options have in common."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

Group = TypeVar("Group")


def group_from(kind: type[Group], namespace: argparse.Namespace) -> Group:
    """Make a group of options, a dataclass whose fields are named as the parser's values."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(namespace, name) for name in names})


def number_from(lowest: float, highest: float = math.inf) -> Callable[[str], float]:
    """Return a ``type`` for the parser that takes numbers between two bounds, both included."""
    bounds = f"from {lowest:g} to {highest:g}" if highest < math.inf else f"from {lowest:g}"

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest or math.isinf(value):
            raise argparse.ArgumentTypeError(f"got {text!r}; expected a number {bounds}")
        return value

    return number


def size_hw(text: str) -> tuple[int, int]:
    """Return ``WIDTHxHEIGHT`` as (height, width); a ``type`` for the parser."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected WIDTHxHEIGHT, such as 1280x720")
    return int(height), int(width)


def add_group(parser: argparse.ArgumentParser, title: str) -> Any:
    """Return a new group of options; its title is the table's name in a settings file."""
    return parser.add_argument_group(title)
