"""Which convolutions and tensors are quantized."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from calibration.int8_region import Target
from calibration.quantize_rules import Placement, compile_exclude, plan_quantization
from export.onnx_graph import GraphIndex
from runtime.errors import CalibrationError, UsageError
from tests.calibration.tiny_network import make_tiny_network
from tests.export.tiny_models import make_model


def convolution_chain(
    shape: tuple[int, ...], kind: str = "Conv", group: int = 1, constant: bool = True
) -> ModelProto:
    """Two convolutions, the one under test, and a last one; only the first is plainly INT8."""
    channels = shape[0] if kind == "Conv" else shape[1] * group
    weights = {"w0": (shape[1] * group if kind == "Conv" else shape[0], 16, 1, 1), "w1": shape}
    weights |= {"w2": (16, channels, 1, 1), "w": (16, 16, 1, 1)}
    constants = {name: np.ones(size, np.float32) for name, size in weights.items()}
    inputs = {"x": (TensorProto.FLOAT, (1, 16, 8, 8))}
    if not constant:
        inputs["w1"] = (TensorProto.FLOAT, constants.pop("w1").shape)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["x1"], name="int8"),
        helper.make_node("Conv", ["x1", "w0"], ["a"], name="before"),
        helper.make_node(kind, ["a", "w1"], ["b"], name="tested", group=group),
        helper.make_node("Conv", ["b", "w2"], ["y"], name="final"),
    ]
    return make_model(nodes, inputs, {"y": (TensorProto.FLOAT, (1, 16, 8, 8))}, constants)


def rule_for(model: ModelProto, name: str = "tested", **options: object) -> str:
    plan = plan_quantization(model, Placement(**options))  # type: ignore[arg-type]
    return next(d.rule for d in plan.decisions if d.node == name)


@pytest.mark.parametrize(
    ("shape", "more", "rule"),
    [
        ((16, 16, 1, 1), {}, "int8"),
        ((16, 16, 1, 1), {"constant": False}, "weights"),
        ((15, 16, 1, 1), {}, "narrow"),
        ((16, 15, 1, 1), {}, "narrow"),
        ((16, 3, 1, 1), {}, "stem"),
        ((16, 1, 1, 1), {"group": 16}, "depthwise"),
        ((64, 16, 1, 1), {"group": 4}, "int8"),
        ((16, 16, 1, 1), {"kind": "ConvTranspose"}, "transposed"),
        ((16, 16, 1, 1), {"kind": "ConvTranspose", "group": 1, "constant": False}, "weights"),
        ((16, 4, 1, 1), {"group": 4}, "narrow"),
    ],
)
def test_a_convolution_meets_its_rule(
    shape: tuple[int, ...], more: dict[str, object], rule: str
) -> None:
    assert rule_for(convolution_chain(shape, **more)) == rule  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "transposed", "depthwise"),
    [
        (Target.PORTABLE, "transposed", "depthwise"),
        (Target.ONNXRUNTIME, "transposed", "int8"),
        (Target.TENSORRT, "int8", "int8"),
        (Target.TENSORRT_RTX, "transposed", "depthwise"),
    ],
)
def test_a_target_has_its_exclusions(target: Target, transposed: str, depthwise: str) -> None:
    model = convolution_chain((16, 16, 1, 1), "ConvTranspose")
    assert rule_for(model, target=target) == transposed
    model = convolution_chain((16, 1, 1, 1), group=16)
    assert rule_for(model, target=target) == depthwise
    few_channels = convolution_chain((8, 1, 1, 1), group=8)
    allowed = depthwise == "int8"
    assert rule_for(few_channels, target=target) == ("narrow" if allowed else depthwise)


def test_named_convolutions_stay_float() -> None:
    model = convolution_chain((16, 16, 1, 1))
    assert rule_for(model, keep_float=frozenset(["tested"])) == "sensitive"
    assert rule_for(model, keep_float=frozenset(["teste", "before"])) == "int8"


def test_the_last_convolution_of_a_head_stays_float() -> None:
    model = make_tiny_network()
    assert rule_for(model, "head.1/Conv") == "last"
    assert rule_for(model, "head.0/Conv") == "int8"
    assert rule_for(model, "stem/Conv") == "stem"


def test_exclude_matches_part_of_a_name() -> None:
    pattern = compile_exclude(r"^block\.")
    rules = {
        d.node: d.rule for d in plan_quantization(make_tiny_network(), Placement(pattern)).decisions
    }
    assert rules["block.0/Conv"] == rules["block.1/Conv"] == "excluded"
    assert rules["upper/Conv"] == "int8"


def test_every_reader_of_a_tensor_shares_its_quantized_version() -> None:
    plan = plan_quantization(make_tiny_network())
    assert plan.readers["stem/Relu"] == {"block.0/Conv", "block.sum/Add"}
    assert plan.readers["block.sum/Relu"] == {"upper/Conv", "lower/MaxPool"}


def test_additions_keep_one_float_branch() -> None:
    plan = plan_quantization(make_tiny_network())
    assert "block.1/Conv" not in plan.readers  # the convolution's branch beside a skip
    assert plan.readers["join.1/Conv"] == {"join/Add"}  # one of two convolutions
    assert "join.0/Conv" not in plan.readers
    assert plan.float_branches == {"block.1/Conv", "upper/Relu", "join.0/Conv"}


def test_pooling_and_upsampling_keep_the_grid() -> None:
    plan = plan_quantization(make_tiny_network())
    assert plan.grid_of["lower/MaxPool"] == "block.sum/Relu"
    assert plan.grid_of["lower/Resize"] == "lower.conv/Relu"
    assert plan.readers["top.conv/Relu"] == {"top/CornerPool"}
    observed = plan.observed()
    assert len(observed) == len(set(observed))
    assert "lower/MaxPool" not in observed and "block.sum/Relu" in observed


def test_nothing_is_quantized_before_the_stem_or_behind_the_heads() -> None:
    plan = plan_quantization(make_tiny_network())
    touched = set(plan.readers) | plan.float_branches
    assert not [t for t in touched if t.startswith(("normalise", "decode", "head.", "heat"))]


def test_planned_tensors_exist() -> None:
    model = make_tiny_network()
    made = set(GraphIndex.of(model.graph).producers)
    plan = plan_quantization(model)
    assert made.issuperset(plan.observed())
    assert made.issuperset(plan.convolutions)


def test_a_quantized_model_is_refused() -> None:
    model = convolution_chain((16, 16, 1, 1))
    scale = helper.make_tensor("s", TensorProto.FLOAT, (), [1.0])
    model.graph.initializer.append(scale)
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "s"], ["q"]))
    with pytest.raises(CalibrationError, match="quantize nodes already"):
        plan_quantization(model)


def test_excluding_everything_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"none of 11 .* may run in INT8 \(excluded\)"):
        plan_quantization(make_tiny_network(), Placement(compile_exclude("")))


def test_a_bad_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--exclude got '\('.*expected a regular expression"):
        compile_exclude("(")
    assert compile_exclude(None) is None
