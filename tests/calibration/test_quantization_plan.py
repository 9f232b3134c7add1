"""Reading a plan off an INT8 model, and that torch computes with it what ONNX Runtime does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from calibration import calibrate
from calibration.quantization_plan import main, plan_from_file, plan_from_model
from calibration.quantize import Quantizable, Ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.weights import Granularity, WeightOptions
from detectors.fake_quantize import fake_quantize
from detectors.int8_plan import read_plan
from export.onnx_graph import GraphIndex, save_model
from runtime.contract import MAP_NAMES, write_contract
from runtime.errors import CalibrationError
from tests.calibration import exact_networks
from tests.calibration.exact_networks import exact_images, make_exact, run_onnx
from tests.calibration.tiny_network import (
    make_contract,
    make_tiny_network,
    write_images,
    write_tiny_network,
)


def tiny_int8(granularity: Granularity = Granularity.PER_CHANNEL, base: str = "fp32"):
    model = make_tiny_network()
    next(node for node in model.graph.node if node.name == "lower/MaxPool").name = "half/MaxPool"
    thresholds = {name: 1.0 + i for i, name in enumerate(observable(model, EVERYWHERE))}
    source = Quantizable(model, Ranges({}, thresholds), WeightOptions(granularity))
    return quantize_model(source, EVERYWHERE, base).model


def plan_of(model):
    return plan_from_model(model, make_contract("int8"), "0" * 64)


def test_scales_are_those_of_the_model():
    model = tiny_int8()
    plan, index = plan_of(model), GraphIndex.of(model.graph)
    assert plan.model == "tiny" and len(plan.source_sha256) == 64
    assert list(plan.convolutions) == [
        *("block.0", "block.1", "upper", "lower.conv", "top.conv", "left.conv"),
        *("join.0", "join.1", "head.0"),
    ]
    scales = plan.convolutions["head.0"]
    assert scales.input == index.constant("join/Relu/scale")
    assert scales.weights == tuple(index.constant("head.0/Conv/weight/scale").tolist())
    assert plan.modules.keys() == {"half", "lower", "top", "left"}
    assert plan.modules["top"] == index.constant("top.conv/Relu/scale")
    assert plan.additions["block.sum/Add"] == (None, index.constant("stem/Relu/scale"))
    assert plan.thresholds["join/Relu"] == pytest.approx(scales.input * 127)
    assert plan.left_float == {"stem/Conv": "stem", "head.1/Conv": "last"}


def test_one_scale_for_all_weights_is_one():
    plan = plan_of(tiny_int8(Granularity.PER_TENSOR))
    assert {len(scales.weights) for scales in plan.convolutions.values()} == {1}


def test_a_half_precision_base_is_refused():
    with pytest.raises(CalibrationError, match=r"no constant float32 scale.*--base fp32"):
        plan_of(tiny_int8(base="fp16"))


def test_quantized_values_that_torch_cannot_round_are_refused_by_their_reader():
    model = tiny_int8()
    relu = next(node for node in model.graph.node if node.name == "head.0/Relu")
    relu.input[0] = "join/Relu/dequantized"
    with pytest.raises(CalibrationError, match=r"head\.0/Relu reads quantized values"):
        plan_of(model)


def test_two_grids_in_one_module_are_refused():
    model = tiny_int8()
    next(node for node in model.graph.node if node.name == "half/MaxPool").name = "lower/MaxPool"
    with pytest.raises(CalibrationError, match="two operators of the module 'lower'"):
        plan_of(model)


def test_a_convolution_with_half_of_its_grids_is_refused():
    model = tiny_int8()
    conv = next(node for node in model.graph.node if node.name == "head.0/Conv")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((16, 16, 1, 1), "f"), "w"))
    conv.input[1] = "w"
    with pytest.raises(CalibrationError, match=r"head\.0 has a quantized input or .* not both"):
        plan_of(model)


def write_int8(path: Path, **changes: object) -> Path:
    save_model(tiny_int8(), path)
    write_contract(dataclasses.replace(make_contract("int8"), **changes), path)
    return path


def test_the_command_writes_the_plan(tmp_path, capsys):
    source = write_int8(tmp_path / "int8.onnx")
    out = tmp_path / "plan.json"
    assert main(["--onnx", str(source), "--out", str(out)]) == 0
    assert read_plan(out) == plan_from_file(source)
    assert (
        "9 convolutions, 4 pooling and upsampling modules, 2 additions" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp32"}, "is fp32 for portable; expected the portable INT8 model"),
        ({"target": "onnxruntime"}, "is int8 for onnxruntime"),
    ],
)
def test_other_models_are_one_line(tmp_path, capsys, changes, message):
    source = write_int8(tmp_path / "int8.onnx", **changes)
    assert main(["--onnx", str(source), "--out", str(tmp_path / "plan.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("effort", ["fast", "good"])
def test_a_model_with_other_weights_is_refused(tmp_path, capsys, effort):
    float_model, images = tmp_path / "float.onnx", write_images(tmp_path / "images", 2)
    write_tiny_network(float_model)
    words = ["--onnx", float_model, "--images", images, "--out", tmp_path / "int8.onnx"]
    assert calibrate.main([*map(str, words), "--effort", effort]) == 0
    capsys.readouterr()
    assert main(["--onnx", str(words[-1]), "--out", str(tmp_path / "plan.json")]) == 2
    # The tiny network fails for a reason of its own after that.
    expected = {"fast": "two operators of the module 'lower'", "good": "with --effort good"}
    assert expected[effort] in capsys.readouterr().err


def test_a_missing_model_and_an_output_of_another_kind_are_one_line(tmp_path, capsys):
    assert main(["--onnx", str(tmp_path / "no.onnx"), "--out", str(tmp_path / "p.json")]) == 2
    assert main(["--onnx", str(tmp_path / "no.onnx"), "--out", str(tmp_path / "p.txt")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and ".json" in lines[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "granularity"),
    [
        (exact_networks.nano, Granularity.PER_CHANNEL),
        (exact_networks.nano, Granularity.PER_TENSOR),
        (exact_networks.squeeze, Granularity.PER_CHANNEL),
        (exact_networks.hourglass, Granularity.PER_TENSOR),
    ],
)
def test_torch_computes_what_onnx_runtime_does(build, granularity):
    exact = make_exact(build(), granularity)
    plan = plan_from_model(exact.quantized, make_contract("int8"), "")
    expected, unrounded = run_onnx(exact.quantized), run_onnx(exact.exported)
    with torch.no_grad():
        got = fake_quantize(exact.network, plan)(exact_images())
    for name in MAP_NAMES:
        largest = np.abs(expected[name]).max()
        # Only the last convolution is not exact: nothing is rounded behind it.
        np.testing.assert_allclose(got[name], expected[name], rtol=0, atol=1e-6 * largest)
        assert np.abs(expected[name] - unrounded[name]).max() > 0.01 * largest
