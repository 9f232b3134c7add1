"""Percentiles with the tail kept, and bars of equal width on a logarithmic axis."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from runtime.latency import BARS_PER_DECADE, Latency, histogram_of


def test_percentiles_of_the_numbers_from_0_to_100() -> None:
    latency = Latency.of(range(101))  # type: ignore[arg-type]
    assert latency == Latency(101, 50.0, 50.0, 90.0, 95.0, 99.0, 100.0)


def test_percentiles_are_interpolated_between_neighbours() -> None:
    latency = Latency.of([3.0, 1.0])
    assert (latency.p50_ms, latency.p90_ms, latency.max_ms) == (2.0, pytest.approx(2.8), 3.0)


def test_one_value_is_every_figure() -> None:
    assert Latency.of([7.5]) == Latency(1, 7.5, 7.5, 7.5, 7.5, 7.5, 7.5)


def test_an_outlier_stays() -> None:
    latency = Latency.of([1.0] * 999 + [5000.0])
    assert latency.max_ms == 5000.0 and latency.mean_ms == pytest.approx(5.999)


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Latency.of([])


def test_bars_hold_every_value_once_and_lie_side_by_side() -> None:
    values = np.random.default_rng(0).lognormal(2, 1, 5000)
    bars = histogram_of(values)
    assert sum(bar.count for bar in bars) == 5000
    for left, right in itertools.pairwise(bars):
        assert left.to_ms == right.from_ms
    for bar in bars:
        inside = np.count_nonzero((values >= bar.from_ms) & (values < bar.to_ms))
        assert bar.count == inside
        assert bar.to_ms / bar.from_ms == pytest.approx(10 ** (1 / BARS_PER_DECADE))


def test_empty_bars_between_two_stay_and_outer_ones_go() -> None:
    bars = histogram_of([1.05, 10.5])
    assert len(bars) == BARS_PER_DECADE + 1
    assert [bar.count for bar in bars] == [1, *[0] * (BARS_PER_DECADE - 1), 1]


def test_values_beyond_the_axis_count_in_the_outermost_bars() -> None:
    bars = histogram_of([0.0, 1e9])
    assert bars[0].count == bars[-1].count == 1
    assert bars[0].from_ms == pytest.approx(1e-3) and bars[-1].to_ms == pytest.approx(1e5)


def test_no_values_have_no_bars() -> None:
    assert histogram_of([]) == ()
