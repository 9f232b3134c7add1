"""Weights on the INT8 grid."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.weights import WeightOptions, round_weights, weight_scales


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


def test_a_channel_of_zeros_has_a_usable_scale() -> None:
    weights = np.zeros((3, 4, 3, 3), np.float32)
    scales = weight_scales(weights, 0, WeightOptions())
    np.testing.assert_array_equal(scales, np.ones(3))
    assert not round_weights(weights, 0, WeightOptions()).values.any()
