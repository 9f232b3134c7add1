"""A case made hard on purpose: one scale per tensor, and one channel fifty times the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from calibration.accuracy import open_meter
from calibration.calibrate import make_quantizable
from calibration.gate import pass_gate
from calibration.meters import ap_meter, sqnr_meter
from calibration.options import CalibrationOptions
from calibration.sessions import Form, open_session
from calibration.sqnr import map_names
from calibration.weights import Granularity, WeightOptions
from detectors.shapes import main as draw_shapes
from export.export_onnx import main as export
from export.onnx_graph import load_model
from runtime.contract import read_contract
from runtime.image_batches import find_images

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "detectors" / "weights" / "cornernet-nano.safetensors"
OUTLIER = "hourglass.up1.0.conv1"  # a ReLU, and then only the next one, reads it
NEXT = "hourglass.up1.0.conv2"
CHANNEL, FACTOR = 3, 50


def add_outlier_channel(model: ModelProto) -> ModelProto:
    """Return a copy that computes the same, with one channel made large and small again."""
    changed = ModelProto()
    changed.CopyFrom(model)
    every = slice(None)
    factors = {
        f"{OUTLIER}.weight": (CHANNEL, FACTOR),
        f"{OUTLIER}.bias": (CHANNEL, FACTOR),
        f"{NEXT}.weight": ((every, CHANNEL), 1 / FACTOR),
    }
    for tensor in changed.graph.initializer:
        if tensor.name in factors:
            place, factor = factors.pop(tensor.name)
            values = numpy_helper.to_array(tensor).copy()
            values[place] *= factor
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert not factors
    return changed


def maps_of(model: ModelProto, frame: np.ndarray) -> list[np.ndarray]:
    """Return the maps in front of the decoder."""
    names = map_names(model)
    return open_session(model, Form.PORTABLE, names).run(names, {"frames": frame})


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute of computing, most of it the ranking
def test_the_gate_reaches_its_budget_on_per_tensor_weights_with_an_outlier(tmp_path: Path) -> None:
    source = tmp_path / "nano.onnx"
    words = ["--model", "cornernet-nano", "--weights", str(WEIGHTS), "--size", "320", "320"]
    assert export([*words, "--out", str(source)]) == 0
    for name, count, seed in (("val", "40", "21"), ("calibration", "6", "22")):
        words = ["--out", str(tmp_path / name), "--images", count, "--seed", seed]
        assert draw_shapes(words) == 0
    contract, plain = read_contract(source), load_model(source)
    model = add_outlier_channel(plain)
    images = find_images(str(tmp_path / "calibration"), contract.size_hw, 6)
    frame = next(iter(images))
    for expected, found in zip(maps_of(plain, frame), maps_of(model, frame), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)  # the same function

    options = CalibrationOptions(weights=WeightOptions(Granularity.PER_TENSOR))
    quantizable = make_quantizable(model, contract, images, options)
    accuracy = ap_meter(open_meter(tmp_path / "val", contract, Form.ONNXRUNTIME), model)
    quick = sqnr_meter(model, images, Form.ONNXRUNTIME)
    result = pass_gate(quantizable, options.placement, accuracy, quick, 0.5)
    assert 100 * (result.float_ap - result.first_ap) > 1
    assert result.drop_points <= 0.5
    assert f"{OUTLIER}/Conv" in result.returned
    assert result.before.percent > result.after.percent > 60
