"""Clipping thresholds and weight scales."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.observers import BINS, MagnitudeHistogram
from calibration.ranges import (
    PERCENTILE,
    RangeMethod,
    choose_threshold,
    scale_of,
)


def histogram_of(values: np.ndarray) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram


def squared_error(values: np.ndarray, threshold: float) -> float:
    scale = scale_of(threshold)
    restored = np.clip(np.rint(values / scale), -127, 127) * scale
    return float(np.square(values - restored).sum())


@pytest.fixture(name="peaked")
def peaked_values() -> np.ndarray:
    """Many small values and a few large ones, as activations have."""
    return np.random.default_rng(0).laplace(0, 0.1, 400_000).astype(np.float32)


def test_minmax_keeps_everything(peaked: np.ndarray) -> None:
    assert choose_threshold(histogram_of(peaked), RangeMethod.MINMAX) == np.abs(peaked).max()


def test_percentile_matches_numpy(peaked: np.ndarray) -> None:
    histogram = histogram_of(peaked)
    expected = np.percentile(np.abs(peaked), PERCENTILE)
    found = choose_threshold(histogram, RangeMethod.PERCENTILE)
    assert found == pytest.approx(expected, abs=2 * histogram.limit / BINS)
    assert found < histogram.peak


def test_mse_beats_keeping_everything(peaked: np.ndarray) -> None:
    threshold = choose_threshold(histogram_of(peaked), RangeMethod.MSE)
    errors = {t: squared_error(peaked, t) for t in np.abs(peaked).max() * np.linspace(0.2, 1, 81)}
    assert squared_error(peaked, threshold) <= 1.02 * min(errors.values())
    assert squared_error(peaked, threshold) < 0.8 * squared_error(peaked, np.abs(peaked).max())


def test_mse_keeps_all_of_evenly_spread_values() -> None:
    values = np.linspace(-3, 3, 100_001)
    assert choose_threshold(histogram_of(values), RangeMethod.MSE) > 2.95


def test_zeros_do_not_pull_the_mse_threshold(peaked: np.ndarray) -> None:
    with_zeros = np.concatenate([peaked, np.zeros(10 * len(peaked), np.float32)])
    assert choose_threshold(histogram_of(with_zeros), RangeMethod.MSE) == choose_threshold(
        histogram_of(peaked), RangeMethod.MSE
    )


@pytest.mark.parametrize("method", list(RangeMethod))
def test_thresholds_are_positive_for_dead_and_tiny_tensors(method: RangeMethod) -> None:
    assert choose_threshold(MagnitudeHistogram(), method) == 1.0
    assert choose_threshold(histogram_of(np.zeros(5)), method) == 1.0
    assert 0 < choose_threshold(histogram_of(np.array([1e-20])), method) <= 1.0001e-20
