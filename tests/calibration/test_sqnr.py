"""The signal-to-noise ratio of maps."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from calibration.sqnr import FLOAT_DB, SqnrMeter, decibels, map_names
from runtime.contract import MAP_NAMES
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import make_model


def scaled(factor: float, name: str = "tl_heat") -> ModelProto:
    """Return a model whose only map is its input times a factor, and that decodes it."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "factor"], [name]),
        helper.make_node("ReduceMax", [name], ["scores"]),
    ]
    frames = {"frames": (TensorProto.UINT8, (1, 16, 16, 3))}
    scores = {"scores": (TensorProto.FLOAT, None)}
    return make_model(nodes, frames, scores, {"factor": np.float32(factor)})


def test_the_ratio_is_that_of_powers() -> None:
    meter = SqnrMeter(scaled(1.0), random_frames(2))
    assert meter.measure(scaled(1.1)) == pytest.approx(20, abs=1e-3)
    assert meter.measure(scaled(1.01)) == pytest.approx(40, abs=1e-2)


def test_less_noise_than_half_precision_makes_does_not_count() -> None:
    meter = SqnrMeter(scaled(1.0), random_frames(1))
    assert meter.measure(scaled(1.0)) == pytest.approx(FLOAT_DB)
    assert meter.measure(scaled(1.00001)) == pytest.approx(FLOAT_DB)
    assert pytest.approx(66.2, abs=0.1) == FLOAT_DB


def test_maps_count_alike_whatever_their_size() -> None:
    noise = np.float64([1e-2, 0])
    assert decibels(np.float64([1, 1]), noise) == pytest.approx(23.01, abs=0.01)
    assert decibels(np.float64([1, 1e6]), noise) == pytest.approx(23.01, abs=0.01)


def test_a_map_of_zeros() -> None:
    assert decibels(np.float64([0.0]), np.float64([0.0])) == pytest.approx(FLOAT_DB)
    assert decibels(np.float64([0.0]), np.float64([2.0])) == pytest.approx(0)


def test_maps_are_found_in_front_of_the_decoder() -> None:
    assert map_names(scaled(1.0)) == ["tl_heat"]
    assert map_names(make_tiny_network()) == ["heat", "peaks"]
    assert "br_off" in MAP_NAMES and map_names(scaled(1.0, "br_off")) == ["br_off"]


def test_a_map_that_is_not_finite() -> None:
    meter = SqnrMeter(scaled(1.0), random_frames(1))
    with pytest.raises(CalibrationError, match="map tl_heat became infinite or NaN"):
        meter.measure(scaled(float("inf")))


def test_no_image() -> None:
    with pytest.raises(CalibrationError, match="got no image"):
        SqnrMeter(scaled(1.0), [])


def test_frames_of_another_size() -> None:
    with pytest.raises(CalibrationError, match="could not run the model"):
        SqnrMeter(scaled(1.0), [np.zeros((1, 8, 8, 3), np.uint8)])
