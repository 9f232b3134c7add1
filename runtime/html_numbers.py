"""Numbers for people: as many digits as tell something, the same in one column."""

from __future__ import annotations

import math
from collections.abc import Iterable

SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
# Of the largest number of a column.
DIGITS = 4
MOST_DECIMALS = 3


def decimals_for(values: Iterable[float]) -> int:
    """Return how many decimals a column of numbers deserves: four digits for the largest."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest <= 0:
        return 0
    return min(MOST_DECIMALS, max(0, DIGITS - 1 - math.floor(math.log10(largest))))


def number(value: float, decimals: int) -> str:
    """Return a number with its thousands apart; nothing is never below zero."""
    text = f"{value:,.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.removeprefix("-")
    return text.replace("-", MINUS).replace(",", "\N{NARROW NO-BREAK SPACE}")


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign."""
    text = number(value, decimals)
    return text if text.startswith(MINUS) else f"+{text}"


def short(value: float, digits: int = 3) -> str:
    """Return a lone number with so many digits that count, without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return number(value, decimals)


def plain(value: float) -> str:
    """Return a round number, such as one of an axis, as it is written by hand: 0.05, 2, 1000."""
    return f"{value:.10f}".rstrip("0").rstrip(".").replace("-", MINUS)


def milliseconds(value: float) -> str:
    """Return a lone time with its unit: three digits, in seconds from ten of them on."""
    if abs(value) >= 10_000:
        return f"{short(value / 1000)}{SPACE}s"
    return f"{short(value)}{SPACE}ms"


def percent(share: float) -> str:
    """Return a share of one in percent; what is not nothing does not read as nothing."""
    value = 100 * share
    if 0 < abs(value) < 0.1:
        return f"<{SPACE}0.1{SPACE}%"
    decimals = 0 if abs(value) >= 99.95 else 1
    return f"{number(value, decimals)}{SPACE}%"


def mebibytes(size_bytes: int) -> str:
    """Return an amount of memory."""
    return f"{number(size_bytes / 2**20, 1)}{SPACE}MiB"
