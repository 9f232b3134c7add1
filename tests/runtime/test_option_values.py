"""Sizes, durations and choices on the command line."""

from __future__ import annotations

import argparse
import enum

import pytest

from runtime.option_values import duration_in_s, one_of, size_in_bytes


class Fruit(enum.Enum):
    """Some choices."""

    APPLE = "apple"
    PEAR = "pear"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("1024", 1024), ("100MB", 10**8), ("1.5GiB", 3 * 2**29), ("2 gb", 2 * 10**9)),
        *(("7B", 7), ("1kB", 1000), ("1TiB", 2**40), (" 5 ", 5)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("15min", 900), ("1h", 3600), ("7d", 604800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_in_s(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1 2", "MB", "1e9", "nan", "inf", "5XB", "٣MB", "1h"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"got .*; expected bytes, as 100MB"):
        size_in_bytes(text)


@pytest.mark.parametrize("text", ["", "-1h", "soon", "1y", "5MB"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"got .*; expected a time, as 90s"):
        duration_in_s(text)


def test_choices() -> None:
    assert one_of(Fruit)("pear") is Fruit.PEAR
    with pytest.raises(argparse.ArgumentTypeError, match="got 'plum'; expected apple or pear"):
        one_of(Fruit)("plum")
