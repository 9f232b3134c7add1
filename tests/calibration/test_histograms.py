"""Histograms that grow."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.histograms import BINS, BLOCK, MagnitudeHistogram


def histogram_of(*batches: object) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


def test_counts_equal_numpys() -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    histogram = histogram_of(values.reshape(5, 10, 100))
    expected, _ = np.histogram(np.abs(values), BINS, (0, histogram.limit))
    # float32 may put a value on a border into the neighbouring bin
    assert np.abs(histogram.counts - expected).sum() <= 10
    assert histogram.counts.sum() == 5000
    assert histogram.peak == np.abs(values).max()


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, 2 * BLOCK + 3])
def test_tensors_larger_than_a_block_are_counted_completely(size: int) -> None:
    values = np.linspace(-1, 1, size, dtype=np.float32)
    found, in_parts = histogram_of(values), histogram_of(*np.array_split(values[::-1], 7))
    assert found.counts.sum() == size
    np.testing.assert_array_equal(found.counts, in_parts.counts)


def test_growing_gives_what_the_large_range_would_have_given() -> None:
    small, large = [0.1, -0.3, 0.26], [5.0, -7.5]
    grown, direct = histogram_of(small, large), histogram_of(large, small)
    assert grown.limit == direct.limit == 8.0
    np.testing.assert_array_equal(grown.counts, direct.counts)


def test_memory_does_not_depend_on_the_number_of_values() -> None:
    histogram = MagnitudeHistogram()
    for size in range(1, 20):
        histogram.add(np.full(size * 100, 1.5**size, np.float32))
    assert histogram.counts.shape == (BINS,)
    assert histogram.counts.sum() == sum(size * 100 for size in range(1, 20))


def test_zeros_and_nothing() -> None:
    histogram = histogram_of(np.zeros((2, 3)), np.empty((0, 4)))
    assert (histogram.peak, histogram.limit, histogram.counts[0]) == (0.0, 0.0, 6)
    histogram.add(np.array([4.0], np.float32))
    assert histogram.counts[0] == 6 and histogram.counts[-1] == 1


def test_a_value_on_the_upper_border_is_in_the_last_bin() -> None:
    histogram = histogram_of([4.0, -4.0, 1.0])
    assert (histogram.limit, histogram.counts[-1], histogram.counts.sum()) == (4.0, 2, 3)


@pytest.mark.parametrize("tiny", [1e-30, 1e-38, 1e-44])
def test_the_smallest_values_are_counted(tiny: float) -> None:
    histogram = histogram_of([tiny, 0.0])
    assert histogram.counts.sum() == 2 and 0 < histogram.peak <= histogram.limit


def test_half_precision_values_do_not_overflow() -> None:
    histogram = MagnitudeHistogram()
    histogram.add(np.array([65504.0, -1.0], np.float16))
    assert (histogram.peak, histogram.counts[8188]) == (65504.0, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        histogram_of([1.0, bad])
