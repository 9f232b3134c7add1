"""Equalized networks compute the same and have channels of similar ranges."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from calibration.channel_groups import find_channel_groups, scale_channels
from calibration.equalization import LARGEST_FACTOR, equalize, observe_channel_peaks
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import CHANNELS, make_tiny_network
from tests.calibration.tiny_source import FRAMES, heat_error, make_source, run_tensor

UNEVEN = "block.0/Relu"


def make_uneven_network(factor: float = 100.0) -> ModelProto:
    """The tiny network with one channel that is larger than the others, and the same results."""
    model = make_tiny_network()
    group = next(g for g in find_channel_groups(model) if UNEVEN in g.tensors)
    factors = np.ones(CHANNELS)
    factors[3] = factor
    scale_channels(model, group, factors)
    return model


def spread(model: ModelProto) -> float:
    peaks = observe_channel_peaks(model, [UNEVEN], FRAMES)[UNEVEN]
    return float(peaks.max() / np.median(peaks))


def test_ranges_come_closer_and_results_stay() -> None:
    model = make_uneven_network()
    untouched = model.SerializeToString()

    equalized = equalize(model, FRAMES)

    assert spread(equalized) < spread(model) / 5
    assert model.SerializeToString() == untouched
    np.testing.assert_allclose(run_tensor(equalized, "heat"), run_tensor(model, "heat"), atol=1e-4)


def test_int8_loses_less() -> None:
    model = make_uneven_network()

    assert heat_error(make_source(equalize(model, FRAMES))) < 0.5 * heat_error(make_source(model))


def test_a_dead_channel_and_a_huge_one_stay_bounded() -> None:
    model = make_uneven_network(1e6)
    bias, weight = (
        next(t for t in model.graph.initializer if t.name == f"block.0.{kind}")
        for kind in ("bias", "weight")
    )
    for tensor in (bias, weight):
        value = np.array(numpy_helper.to_array(tensor))
        value[0] = 0
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    equalized = equalize(model, FRAMES)

    before, after = (observe_channel_peaks(m, [UNEVEN], FRAMES)[UNEVEN] for m in (model, equalized))

    assert after[0] == 0
    ratio = after[1:] / before[1:]
    assert ratio.min() >= 1 / LARGEST_FACTOR - 1e-6
    assert ratio.max() <= LARGEST_FACTOR + 1e-6


def test_peaks_are_those_of_all_images() -> None:
    peaks = observe_channel_peaks(make_tiny_network(), [UNEVEN], FRAMES)[UNEVEN]

    expected = np.abs(run_tensor(make_tiny_network(), UNEVEN)).max(axis=(0, 2, 3))
    np.testing.assert_allclose(peaks, expected, rtol=1e-6)


def test_no_tensor_needs_no_run() -> None:
    assert observe_channel_peaks(make_tiny_network(), [], []) == {}


def test_a_tensor_that_is_not_finite_is_refused() -> None:
    model = make_tiny_network()
    bias = next(t for t in model.graph.initializer if t.name == "block.0.bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(CHANNELS, np.inf, np.float32), bias.name))

    with pytest.raises(CalibrationError, match=r"block\.0/Relu became infinite or NaN on image 1"):
        observe_channel_peaks(model, [UNEVEN], FRAMES)


def test_a_frame_of_another_type_is_one_clear_error() -> None:
    with pytest.raises(CalibrationError, match="could not run the model"):
        observe_channel_peaks(make_tiny_network(), [UNEVEN], [np.zeros((1, 3), np.float32)])
