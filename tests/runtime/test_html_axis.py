"""Axes: places and round numbers."""

from __future__ import annotations

import math

import pytest

from runtime.html_axis import MOST_TICKS, Axis, Scale

LOG = Scale.LOGARITHMIC


def test_a_linear_axis_places_in_proportion():
    axis = Axis(10, 30)
    assert [axis.place(value) for value in (10, 15, 30)] == [0, 25, 100]


def test_a_logarithmic_axis_places_factors_at_equal_distances():
    axis = Axis(0.1, 1000, LOG)
    assert [axis.place(10.0**n) for n in (-1, 0, 1, 2, 3)] == pytest.approx([0, 25, 50, 75, 100])


@pytest.mark.parametrize("scale", Scale)
def test_what_lies_beyond_an_end_is_put_there(scale):
    axis = Axis(1, 10, scale)
    assert (axis.place(0), axis.place(99)) == (0, 100)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0, 16, (0, 5, 10, 15)),
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0, 6, (0, 1, 2, 3, 4, 5, 6)),
        (0, 0.3, (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)),
        (-3, 3, (-3, -2, -1, 0, 1, 2, 3)),
        (117, 123, (117, 118, 119, 120, 121, 122, 123)),
    ],
)
def test_linear_numbers_are_round(lowest, highest, expected):
    assert Axis(lowest, highest).ticks() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (8, 120, (10, 20, 50, 100)),
        (0.9, 1100, (1, 10, 100, 1000)),
        (1e-3, 1e5, (1e-3, 1e-1, 1e1, 1e3, 1e5)),
        (0.9, 1.2, (0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2)),  # no room for factors: even steps
    ],
)
def test_logarithmic_numbers_are_round(lowest, highest, expected):
    assert Axis(lowest, highest, LOG).ticks() == pytest.approx(expected)


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("factor", [1.001, 1.3, 2, 7, 90, 1e4, 1e7])
@pytest.mark.parametrize("lowest", [1e-3, 0.7, 12.5, 3e4])
def test_every_axis_has_some_numbers_and_never_many(lowest, factor, scale):
    axis = Axis(lowest, lowest * factor, scale)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= MOST_TICKS + 1
    assert list(ticks) == sorted(ticks)
    slack = 1e-9 * lowest * factor
    assert lowest - slack <= ticks[0] and ticks[-1] <= lowest * factor + slack


@pytest.mark.parametrize(
    ("ends", "scale"),
    [((1, 1), Scale.LINEAR), ((2, 1), LOG), ((0, 1), LOG), ((math.nan, 1), Scale.LINEAR)],
)
def test_ends_that_span_nothing_are_refused(ends, scale):
    with pytest.raises(ValueError, match="expected ends in order"):
        Axis(*ends, scale)
