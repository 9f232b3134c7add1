"""Writing the grids of a plan into the export of other weights."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from calibration.quantization_plan import plan_from_model
from calibration.quantize import Quantizable, Ranges, observable, quantize_model
from calibration.quantize_by_plan import main, quantize_by_plan
from calibration.quantize_rules import EVERYWHERE
from calibration.weights import Granularity, WeightOptions
from detectors.fake_quantize import fake_quantize
from detectors.int8_plan import ConvolutionScales, Int8Plan, write_plan
from export.onnx_graph import GraphIndex, load_model, save_model
from runtime.contract import read_contract, write_contract
from runtime.errors import CalibrationError
from tests.calibration.exact_networks import exact_images, export, make_exact, nano
from tests.calibration.tiny_network import make_contract, make_tiny_network


def make_float():
    """Return the tiny network with a module for each operator, as torch has it."""
    model = make_tiny_network()
    next(node for node in model.graph.node if node.name == "lower/MaxPool").name = "half/MaxPool"
    return model


def tiny_int8(granularity: Granularity = Granularity.PER_CHANNEL):
    model = make_float()
    thresholds = {name: 1.0 + i for i, name in enumerate(observable(model, EVERYWHERE))}
    source = Quantizable(model, Ranges({}, thresholds), WeightOptions(granularity))
    return quantize_model(source, EVERYWHERE).model


def tiny_plan(**changes: object) -> Int8Plan:
    plan = plan_from_model(tiny_int8(), make_contract("int8"), "0" * 64)
    return dataclasses.replace(plan, **changes)


@pytest.mark.parametrize("granularity", list(Granularity))
def test_the_same_weights_give_the_same_model(granularity):
    expected = tiny_int8(granularity)
    plan = plan_from_model(expected, make_contract("int8"), "")
    model = quantize_by_plan(make_float(), make_contract(), plan)
    assert list(model.graph.node) == list(expected.graph.node)
    assert list(model.graph.initializer) == list(expected.graph.initializer)
    keys = [sorted(entry.key for entry in m.metadata_props) for m in (model, expected)]
    assert keys[0] == keys[1]


def test_other_weights_are_rounded_to_the_grids_of_the_plan():
    model, plan = make_float(), tiny_plan()
    index = GraphIndex.of(model.graph)
    weights = index.constant("head.0.weight") * np.float32(1.3)
    index.initializers["head.0.weight"].CopyFrom(numpy_helper.from_array(weights, "head.0.weight"))
    found = GraphIndex.of(quantize_by_plan(model, make_contract(), plan).graph)
    scales = np.array(plan.convolutions["head.0"].weights, np.float32)
    assert np.array_equal(found.constant("head.0/Conv/weight/scale"), scales)
    expected = np.clip(np.rint(weights / scales.reshape(-1, 1, 1, 1)), -127, 127)
    values = found.constant("head.0/Conv/weight/quantized")
    assert np.array_equal(values, expected) and np.abs(values).max() == 127


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "cornernet-squeeze"}, "plan is of cornernet-squeeze, the model is tiny"),
        ({"modules": {"pool9": 1.0}}, "lacks 1 roundings .* module pool9 first"),
        ({"additions": {"x/Add": (1.0, None)}}, "the addition x/Add first"),
        ({"joined": {"x": 1.0}}, "the convolution before a concatenation x first"),
        (
            {"convolutions": {"x.conv": ConvolutionScales(1.0, (1.0,))}},
            "the convolution x.conv first",
        ),
        (
            {"convolutions": {"head.0": ConvolutionScales(1.0, (1.0, 1.0))}},
            "2 scales for head.0/Conv, which has 16",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_by_name(changes, message):
    with pytest.raises(CalibrationError, match=message):
        quantize_by_plan(make_float(), make_contract(), tiny_plan(**changes))


def test_two_grids_for_one_tensor_are_refused():
    plan = tiny_plan()
    one = dataclasses.replace(plan.convolutions["join.0"], input=0.5)
    plan = dataclasses.replace(plan, convolutions={**plan.convolutions, "join.0": one})
    with pytest.raises(CalibrationError, match="cannot be rounded as tiny was in training"):
        quantize_by_plan(make_float(), make_contract(), plan)


def write_float(path: Path) -> Path:
    save_model(make_float(), path)
    write_contract(make_contract(), path)
    return path


def written(tmp_path: Path, *more: str) -> tuple[int, Path]:
    source, plan, out = tmp_path / "a.onnx", tmp_path / "plan.json", tmp_path / "b.onnx"
    write_float(source)
    write_plan(tiny_plan(), plan)
    command = ["--onnx", str(source), "--plan", str(plan), "--out", str(out), *more]
    return main(command), out


@pytest.mark.parametrize("base", ["fp32", "fp16"])
def test_the_command_writes_model_and_contract(tmp_path, base):
    status, out = written(tmp_path, "--base", base)
    assert status == 0
    contract = read_contract(out)
    assert contract.precision == "int8" and contract.provenance[-1].step == "calibrate"
    assert tiny_plan().digest() in contract.provenance[-1].note
    notes = {entry.key: entry.value for entry in load_model(out).metadata_props}
    assert json.loads(notes["cornerrt.float_convolutions"])["stem/Conv"] == "stem"


def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys):
    source = write_float(tmp_path / "a.onnx")
    out = tmp_path / "b.onnx"
    for plan in (tmp_path / "no.json", source):
        assert main(["--onnx", str(source), "--plan", str(plan), "--out", str(out)]) == 2
    assert main(["--onnx", str(source), "--plan", "x.json", "--out", str(source)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    assert not out.exists()


def test_weights_that_are_not_finite(tmp_path, capsys):
    status, out = written(tmp_path)
    out.unlink()
    model = make_float()
    weights = next(t for t in model.graph.initializer if t.name == "block.0.weight")
    broken = np.full_like(numpy_helper.to_array(weights), np.nan)
    weights.CopyFrom(numpy_helper.from_array(broken, weights.name))
    source, plan = tmp_path / "a.onnx", tmp_path / "plan.json"
    save_model(model, source)
    write_contract(make_contract(), source)
    assert status == 0
    assert main(["--onnx", str(source), "--plan", str(plan), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "block.0/Conv has weights that are infinite or NaN" in line and not out.exists()


@pytest.mark.slow
def test_trained_weights_are_exported_as_they_were_trained():
    exact = make_exact(nano(), Granularity.PER_CHANNEL)
    contract = make_contract()
    plan = plan_from_model(exact.quantized, contract, "")
    trained = fake_quantize(copy.deepcopy(exact.network), plan).train()
    optimizer = torch.optim.SGD(trained.parameters(), 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        losses = [value.abs().mean() for value in trained(exact_images())[0].values()]
        (sum(losses) / 1e5).backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 100.0)
        optimizer.step()
    exact.network.load_state_dict(trained.state_dict())
    index = GraphIndex.of(quantize_by_plan(export(exact.network), contract, plan).graph)
    before = GraphIndex.of(exact.quantized.graph)
    moved = 0
    for path in plan.convolutions:
        name = f"{path}/Conv/weight/quantized"
        layer = trained.get_submodule(path)
        scales = layer.weight_scales.view(-1, 1, 1, 1)
        steps = (layer.rounded_weight() * layer._factor() / scales).round().int().numpy()
        assert np.array_equal(index.constant(name), steps), path
        moved += (index.constant(name) != before.constant(name)).sum()
    assert moved > 0
