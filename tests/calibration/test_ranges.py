"""Clipping thresholds and weight scales."""

from __future__ import annotations

import numpy as np
import pytest
from onnxruntime.quantization.calibrate import HistogramCollector

from calibration.histograms import BINS, MagnitudeHistogram
from calibration.ranges import (
    ENTROPY_BINS,
    ENTROPY_LEVELS,
    PERCENTILE,
    RangeMethod,
    _divergences,
    choose_threshold,
    scale_of,
    thresholds_by_method,
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


def test_mse_gives_up_a_few_huge_values(peaked: np.ndarray) -> None:
    values = np.append(np.tile(peaked, 4), np.float32(12.0))
    threshold = choose_threshold(histogram_of(values), RangeMethod.MSE)
    assert threshold < 0.2 * 12.0
    assert squared_error(values, threshold) < squared_error(values, 0.2 * 12.0)


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


def plain_divergence(counts: np.ndarray, kept: int) -> float:
    """KL divergence of one candidate, bin by bin, as the talk describes it."""
    reference = counts[:kept].copy()
    reference[-1] += counts[kept:].sum()
    quantized = np.zeros(kept)
    for level in range(ENTROPY_LEVELS):
        begin, end = level * kept // ENTROPY_LEVELS, (level + 1) * kept // ENTROPY_LEVELS
        filled = counts[begin:end] > 0
        if filled.any():
            quantized[begin:end][filled] = counts[begin:end].sum() / filled.sum()
    p, q = reference / reference.sum(), quantized / quantized.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


@pytest.mark.parametrize("kind", ["peaked", "normal", "rare", "one bin"])
def test_divergences_match_the_plain_definition(kind: str, peaked: np.ndarray) -> None:
    random = np.random.default_rng(3)
    counts = {
        "peaked": np.histogram(np.abs(peaked), ENTROPY_BINS)[0],
        "normal": np.histogram(np.abs(random.normal(size=9000)), ENTROPY_BINS)[0],
        "rare": random.random(ENTROPY_BINS) < 0.02,
        "one bin": np.arange(ENTROPY_BINS) == 700,
    }[kind].astype(np.float64)
    candidates = np.flatnonzero(counts)[::37] + 1
    candidates = candidates[candidates >= ENTROPY_LEVELS]
    found = _divergences(counts, candidates)
    expected = [plain_divergence(counts, kept) for kept in candidates.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_entropy_clips_outliers_and_keeps_the_body() -> None:
    body = np.random.default_rng(0).normal(size=400_000)
    threshold = choose_threshold(histogram_of([*body, 40.0, -42.0]), RangeMethod.ENTROPY)
    assert 3.5 < threshold < 6.0


def test_entropy_keeps_all_of_evenly_spread_values() -> None:
    values = np.linspace(-3, 3, 100_001)
    assert choose_threshold(histogram_of(values), RangeMethod.ENTROPY) > 2.95


def test_zeros_do_not_pull_the_entropy_threshold(peaked: np.ndarray) -> None:
    with_zeros = np.concatenate([peaked, np.zeros(10 * len(peaked), np.float32)])
    assert choose_threshold(histogram_of(with_zeros), RangeMethod.ENTROPY) == choose_threshold(
        histogram_of(peaked), RangeMethod.ENTROPY
    )


def test_entropy_is_where_onnxruntimes_calibrator_puts_it(
    peaked: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same method over the same values; its bins, levels and rounding are not quite ours."""
    peer = HistogramCollector("entropy", True, 1024, 2 * ENTROPY_LEVELS, 100.0, "same")
    peer.collect({"x": peaked})
    expected = float(peer.compute_collection_result()["x"][1])
    capsys.readouterr()  # it prints
    found = choose_threshold(histogram_of(peaked), RangeMethod.ENTROPY)
    assert found == pytest.approx(expected, rel=0.2)
    assert found < 0.9 * np.abs(peaked).max()


@pytest.mark.parametrize("percentile", [50.0, 99.0, 100.0])
def test_the_percentile_can_be_chosen(peaked: np.ndarray, percentile: float) -> None:
    histogram = histogram_of(peaked)
    found = choose_threshold(histogram, RangeMethod.PERCENTILE, percentile)
    expected = np.percentile(np.abs(peaked), percentile)
    assert found == pytest.approx(expected, abs=2 * histogram.limit / BINS)


def test_several_methods_come_from_one_pass(peaked: np.ndarray) -> None:
    histograms = {"a": histogram_of(peaked), "b": histogram_of(3 * peaked)}
    found = thresholds_by_method(histograms)
    assert set(found) == set(RangeMethod)
    assert found[RangeMethod.MSE]["a"] == choose_threshold(histograms["a"], RangeMethod.MSE)
    largest = found[RangeMethod.MINMAX]
    assert largest["b"] == pytest.approx(3 * largest["a"])
    (only,) = thresholds_by_method(histograms, [RangeMethod.PERCENTILE], 50.0).values()
    assert only["a"] < found[RangeMethod.PERCENTILE]["a"]


@pytest.mark.parametrize("method", list(RangeMethod))
def test_a_tensor_of_one_value_keeps_it(method: RangeMethod) -> None:
    histogram = histogram_of(np.full(1000, -2.5))
    assert choose_threshold(histogram, method) == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("method", list(RangeMethod))
def test_thresholds_have_a_normal_float32_scale(method: RangeMethod) -> None:
    threshold = choose_threshold(histogram_of(np.full(9, 1e-42)), method)
    assert scale_of(threshold) > np.finfo(np.float32).tiny
