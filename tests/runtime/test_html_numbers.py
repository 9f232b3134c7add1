"""Numbers for people."""

from __future__ import annotations

import pytest

from runtime.html_numbers import (
    decimals_for,
    mebibytes,
    milliseconds,
    number,
    percent,
    plain,
    short,
    signed,
)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([], 0),
        ([0.0], 0),
        ([0.012], 3),
        ([3.2, 0.1], 3),
        ([12.5, -31.0], 2),
        ([-131.0], 1),
        ([45678.0], 0),
    ],
)
def test_a_column_gets_the_decimals_of_its_largest(values, decimals):
    assert decimals_for(values) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1.005, 1, "1.0"),
        (-0.001, 2, "0.00"),
        (-1.26, 1, "\u22121.3"),
        (1234567.0, 0, "1\u202f234\u202f567"),
    ],
)
def test_numbers(value, decimals, text):
    assert number(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.5"), (-0.5, "\u22120.5"), (-0.01, "+0.0")])
def test_signs(value, text):
    assert signed(value, 1) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (9.876, "9.88"), (123.4, "123"), (-2.5, "\u22122.50")],
)
def test_a_lone_number_has_three_digits(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (2.0, "2"), (1000.0, "1000"), (-0.5, "\u22120.5"), (0, "0")]
)
def test_round_numbers_as_written_by_hand(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12.345, "12.3 ms"), (9999.0, "9\u202f999 ms"), (61_000.0, "61.0 s")]
)
def test_times(value, text):
    assert milliseconds(value) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.0004, "< 0.1 %"), (0.123, "12.3 %"), (1, "100 %"), (-0.25, "\u221225.0 %")],
)
def test_shares(share, text):
    assert percent(share) == text.replace(" ", "\u00a0")


def test_memory():
    assert mebibytes(3 * 2**19) == "1.5\u00a0MiB"
