"""More types of the command line's values: sizes, durations and choices."""

from __future__ import annotations

import argparse
import enum
import math
import re
from collections.abc import Callable
from typing import TypeVar

Choice = TypeVar("Choice", bound=enum.Enum)

BYTES_PER_UNIT = {
    **{"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40},
}
SECONDS_PER_UNIT = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    """Return a ``type`` for the parser that takes the values of an enumeration."""

    def choice(text: str) -> Choice:
        try:
            return kind(text)
        except ValueError:
            known = " or ".join(str(member.value) for member in kind)
            raise argparse.ArgumentTypeError(f"got {text!r}; expected {known}") from None

    return choice


def size_in_bytes(text: str) -> int:
    """Return ``100MB``, ``1.5GiB`` or plain bytes as bytes; a ``type`` for the parser."""
    return round(_quantity(text.upper(), BYTES_PER_UNIT, f"{text!r}; expected bytes, as 100MB"))


def duration_in_s(text: str) -> float:
    """Return ``90``, ``15min``, ``1h`` or ``7d`` as seconds; a ``type`` for the parser."""
    return _quantity(text.lower(), SECONDS_PER_UNIT, f"{text!r}; expected a time, as 90s, 1h or 7d")


def _quantity(text: str, units: dict[str, int], complaint: str) -> float:
    """Return a number times its unit, from 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    value = float(match[1]) * units.get(match[2], math.nan) if match else math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {complaint}")
    return value
