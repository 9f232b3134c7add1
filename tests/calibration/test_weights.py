"""Weights on the INT8 grid."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.weights import (
    Granularity,
    WeightMethod,
    WeightOptions,
    round_weights,
    weight_scales,
)

HALF = np.dtype(np.float16)
SHAPE = (6, 8, 3, 3)


def normal_weights(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, SHAPE).astype(np.float32)


def outlier_weights() -> np.ndarray:
    """One weight that is far from all others, and one channel that is larger than its peers."""
    weights = normal_weights()
    weights[2, 3, 1, 1] = 1.5
    weights[4] *= 30
    return weights


def squared_errors(weights: np.ndarray, axis: int, options: WeightOptions) -> np.ndarray:
    """Return the squared error per scale."""
    errors = np.square(round_weights(weights, axis, options).dequantized() - weights)
    if options.granularity is Granularity.PER_TENSOR:
        return errors.sum(dtype=np.float64)
    others = tuple(i for i in range(weights.ndim) if i != axis)
    return errors.sum(axis=others, dtype=np.float64)


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_have_one_scale_per_output_channel(axis: int) -> None:
    weights = np.zeros((2, 2, 1, 1), np.float32)
    weights[0, 0], weights[1, 1], weights[0, 1] = 1.27, -2.54, 0.632
    scales = weight_scales(weights, axis, WeightOptions())
    expected = [0.01, 0.02]
    np.testing.assert_allclose(scales, expected, rtol=1e-6)
    steps = round_weights(weights, axis, WeightOptions()).values
    assert steps.dtype == np.int8 and steps.shape == weights.shape
    assert steps[0, 0, 0, 0] == 127 and steps[1, 1, 0, 0] == -127
    assert steps[0, 1, 0, 0] == (63 if axis == 0 else 32)


def test_one_scale_for_all_comes_from_the_largest_weight() -> None:
    options = WeightOptions(Granularity.PER_TENSOR)
    found = round_weights(outlier_weights(), 0, options)
    assert found.scales.shape == () and found.scales.dtype == np.float32
    assert found.scales == np.float32(np.abs(outlier_weights()).max() / np.float32(127))
    assert np.abs(found.values).max() == 127


@pytest.mark.parametrize("method", list(WeightMethod))
@pytest.mark.parametrize("granularity", list(Granularity))
def test_zeros_have_a_usable_scale(granularity: Granularity, method: WeightMethod) -> None:
    weights = np.zeros((3, 4, 3, 3), np.float32)
    scales = weight_scales(weights, 0, WeightOptions(granularity, method))
    np.testing.assert_array_equal(scales, 1)
    assert not round_weights(weights, 0, WeightOptions(granularity, method)).values.any()


def test_a_channel_of_zeros_leaves_the_others_alone() -> None:
    weights = normal_weights()
    expected = weight_scales(weights, 0, WeightOptions(method=WeightMethod.MSE))
    weights[3] = 0
    expected[3] = 1
    found = weight_scales(weights, 0, WeightOptions(method=WeightMethod.MSE))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("granularity", list(Granularity))
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "weights", [normal_weights(), outlier_weights()], ids=["normal", "outlier"]
)
def test_least_squares_is_never_worse_than_the_maximum(
    weights: np.ndarray, axis: int, granularity: Granularity, dtype: type
) -> None:
    by_max, by_mse = (
        squared_errors(weights, axis, WeightOptions(granularity, method, np.dtype(dtype)))
        for method in (WeightMethod.MAX, WeightMethod.MSE)
    )
    assert (by_mse <= by_max).all()


def test_least_squares_clips_where_that_pays() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 512, 3, 3)).astype(np.float32)
    largest, best = (
        weight_scales(weights, 0, WeightOptions(method=method)) for method in WeightMethod
    )
    assert best < largest
    assert (np.abs(weights) > best * 127.5).any()


def test_a_transposed_axis_gives_the_transposed_answer() -> None:
    weights, options = outlier_weights(), WeightOptions(method=WeightMethod.MSE)
    plain = round_weights(weights, 0, options)
    transposed = round_weights(weights.swapaxes(0, 1), 1, options)
    np.testing.assert_array_equal(transposed.scales, plain.scales)
    np.testing.assert_array_equal(transposed.values, plain.values.swapaxes(0, 1))
    np.testing.assert_array_equal(transposed.dequantized(), plain.dequantized().swapaxes(0, 1))


@pytest.mark.parametrize("method", list(WeightMethod))
def test_scales_for_half_are_numbers_that_half_holds(method: WeightMethod) -> None:
    weights = normal_weights()
    weights[1] *= 1e-3  # its scale would be below the smallest normal half
    options = WeightOptions(method=method, scale_dtype=HALF)
    found = round_weights(weights, 0, options)
    np.testing.assert_array_equal(found.scales, found.scales.astype(HALF))
    assert found.scales.dtype == np.float32
    assert found.scales[1] == 2.0**-14 and (found.scales >= 2.0**-14).all()
    # The weights were rounded once, to the grid that the raised scale spans.
    np.testing.assert_array_equal(found.values[1], np.rint(weights[1] / 2.0**-14))
    single = weight_scales(weights, 0, WeightOptions(method=method))
    assert single[1] < 2.0**-14
