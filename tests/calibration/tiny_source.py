"""The tiny network with its ranges, ready to be quantized, and how far a quantized one is off."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from calibration.observers import observe
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod
from calibration.sessions import Form, open_session
from calibration.weights import DEFAULT_WEIGHTS, WeightOptions
from tests.calibration.tiny_network import make_tiny_network, random_frames

FRAMES = random_frames(8)


def make_source(
    model: ModelProto | None = None, weights: WeightOptions = DEFAULT_WEIGHTS
) -> Quantizable:
    """Return a network, by default the tiny one, with ranges observed on ``FRAMES``."""
    model = make_tiny_network() if model is None else model
    histograms = observe(model, observable(model, EVERYWHERE), FRAMES, len(FRAMES))
    return Quantizable(model, choose_ranges(histograms, RangeMethod.MSE), weights)


def run_tensors(model: ModelProto, tensors: list[str]) -> list[np.ndarray]:
    """Return tensors of a network on ``FRAMES``, each (8, C, H, W)."""
    session = open_session(model, Form.PORTABLE, tensors, threads=1)
    found = [session.run(tensors, {"frames": frame}) for frame in FRAMES]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def run_tensor(model: ModelProto, tensor: str) -> np.ndarray:
    """Return one tensor of a network on ``FRAMES``, (8, C, H, W)."""
    return run_tensors(model, [tensor])[0]


def heat_error(source: Quantizable) -> float:
    """Return the mean squared error of the tiny network's heat when it is quantized."""
    expected = run_tensor(make_tiny_network(), "heat")
    found = run_tensor(quantize_model(source, EVERYWHERE).model, "heat")
    return float(np.square(found - expected).mean())
