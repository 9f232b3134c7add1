"""Tests of the passes: each keeps what the graph computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from export.onnx_graph import IR_VERSION
from export.surgery import (
    finish,
    fold_batch_norm,
    keep_outputs,
    name_by_module,
    remove_unused,
    strip_metadata,
)
from runtime.errors import ExportError
from tests.export.tiny_models import make_model, op_types, run

FLOAT = TensorProto.FLOAT
ANY_MAP = (FLOAT, ("n", "c", "h", "w"))
SCOPES = "pkg.torch.onnx.name_scopes"


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def batch_norm(source: str, result: str, channels: int) -> tuple[onnx.NodeProto, dict]:
    names = [f"{result}_{part}" for part in ("scale", "bias", "mean", "var")]
    values = [1 + 0.1 * normal(channels), normal(channels), normal(channels + 1)[1:]]
    constants = dict(zip(names, [*values, np.abs(normal(channels)) + 0.5], strict=True))
    node = helper.make_node("BatchNormalization", [source, *names], [result], epsilon=1e-3)
    return node, constants


def conv_norm_model(op_type: str, weight: np.ndarray, group: int, bias: bool) -> ModelProto:
    channels = weight.shape[0] if op_type == "Conv" else weight.shape[1] * group
    norm, constants = batch_norm("a", "y", channels)
    constants["conv.weight"] = weight
    inputs = ["x", "conv.weight"]
    if bias:
        inputs.append("conv.bias")
        constants["conv.bias"] = normal(channels)
    conv = helper.make_node(op_type, inputs, ["a"], group=group)
    border = {"x": (FLOAT, ("N", 4, 5, 6))}, {"y": ANY_MAP}
    return make_model([conv, norm], *border, constants)


def assert_same_result(model: ModelProto, before: list[np.ndarray], **feeds: np.ndarray) -> None:
    for was, now in zip(before, run(model, **feeds), strict=True):
        np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("op_type", "weight_shape", "group"),
    [
        ("Conv", (6, 4, 3, 3), 1),
        ("Conv", (6, 2, 1, 1), 2),
        ("Conv", (4, 1, 3, 3), 4),
        ("ConvTranspose", (4, 6, 2, 2), 1),
        ("ConvTranspose", (4, 3, 2, 2), 2),
    ],
)
def test_normalisation_folds_into_convolutions(
    op_type: str, weight_shape: tuple[int, ...], group: int, bias: bool
) -> None:
    model = conv_norm_model(op_type, normal(*weight_shape), group, bias)
    x = normal(2, 4, 5, 6)
    before = run(model, x=x)
    fold_batch_norm(model)
    assert op_types(model) == [op_type]
    assert_same_result(model, before, x=x)


def concat_model(extra_reader: bool = False, through: str = "Conv") -> ModelProto:
    """Return the fire module's shape: two convolutions, Concat, one normalisation."""
    norm, constants = batch_norm("c", "y", 5)
    constants |= {"one.weight": normal(2, 4, 1, 1), "two.weight": normal(3, 4, 1, 1)}
    second = ["x", "two.weight"] if through == "Conv" else ["two"]
    constants |= {"two": normal(1, 3, 5, 6)} if through != "Conv" else {}
    nodes = [
        helper.make_node("Conv", ["x", "one.weight"], ["a"]),
        helper.make_node(through, second, ["b"]),
        helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
        norm,
    ]
    outputs = {"y": ANY_MAP}
    if extra_reader:
        nodes.append(helper.make_node("Relu", ["b"], ["z"]))
        outputs["z"] = ANY_MAP
    return make_model(nodes, {"x": (FLOAT, (1, 4, 5, 6))}, outputs, constants)


def test_normalisation_folds_through_concat() -> None:
    model = concat_model()
    x = normal(1, 4, 5, 6)
    before = run(model, x=x)
    fold_batch_norm(model)
    assert op_types(model) == ["Conv", "Conv", "Concat"]
    assert_same_result(model, before, x=x)


@pytest.mark.parametrize("model", [concat_model(extra_reader=True), concat_model(through="Relu")])
def test_normalisation_stays_where_folding_would_change_another_result(model: ModelProto) -> None:
    fold_batch_norm(model)
    assert "BatchNormalization" in op_types(model)
    run(model, x=normal(1, 4, 5, 6))


def test_folding_leaves_weights_that_another_convolution_shares() -> None:
    norm, constants = batch_norm("a", "y", 4)
    constants["shared.weight"] = normal(4, 4, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "shared.weight"], ["a"]),
        helper.make_node("Conv", ["x", "shared.weight"], ["z"]),
        norm,
    ]
    outputs = {"y": ANY_MAP, "z": ANY_MAP}
    model = make_model(nodes, {"x": (FLOAT, (1, 4, 5, 6))}, outputs, constants)
    x = normal(1, 4, 5, 6)
    before = run(model, x=x)
    assert op_types(fold_batch_norm(model)) == ["Conv", "Conv"]
    assert_same_result(model, before, x=x)


def test_unused_nodes_and_constants_go() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Add", ["x", "c"], ["nobody"]),
        helper.make_node("Relu", ["nobody"], ["nobody_either"]),
    ]
    kind = (FLOAT, (2,))
    model = make_model(nodes, {"x": kind}, {"y": kind}, {"c": np.ones(2, np.float32)})
    remove_unused(model)
    assert op_types(model) == ["Relu"]
    assert not model.graph.initializer


def test_keep_outputs_can_end_at_an_inner_tensor() -> None:
    kind = (FLOAT, (2,))
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    model = make_model(nodes, {"x": kind}, {"y": kind})
    model.graph.value_info.append(helper.make_tensor_value_info("a", *kind))
    keep_outputs(model, ["a"])
    assert op_types(model) == ["Neg"]
    assert [value.name for value in model.graph.output] == ["a"]
    np.testing.assert_array_equal(run(model, x=np.float32([1, 2]))[0], [-1, -2])


def test_keep_outputs_keeps_order_and_lets_an_output_feed_others() -> None:
    kind = (FLOAT, (2,))
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    model = make_model(nodes, {"x": kind}, {"a": kind, "y": kind})
    keep_outputs(model, ["y", "a"])
    assert [value.name for value in model.graph.output] == ["y", "a"]
    keep_outputs(model, ["y"])
    keep_outputs(model, ["a"])  # its type is still known
    assert op_types(model) == ["Neg"]


def test_keep_outputs_names_what_is_not_there() -> None:
    kind = (FLOAT, (2,))
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": kind}, {"y": kind})
    with pytest.raises(ExportError, match="no tensor 'tl_heat'"):
        keep_outputs(model, ["tl_heat"])


def with_scopes(node: onnx.NodeProto, *scopes: str) -> onnx.NodeProto:
    node.metadata_props.add(key=SCOPES, value=repr(["", *scopes]))
    return node


def named_model() -> ModelProto:
    nodes = [
        with_scopes(
            helper.make_node("Conv", ["x", "net.up1.0.conv1.weight", "folded"], ["a"]),
            "net",
            "net.up1.0",
            "net.up1.0.bn1",
            "batch_norm",
        ),
        with_scopes(helper.make_node("Relu", ["a"], ["b"]), "net", "net.up1.0.relu", "relu"),
        with_scopes(helper.make_node("Add", ["b", "b"], ["c"]), "net", "net.up1.0", "add"),
        with_scopes(helper.make_node("Add", ["c", "b"], ["d"]), "net", "net.up1.0", "add_1"),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    kind = (FLOAT, (1, 1, 2, 2))
    constants = {"net.up1.0.conv1.weight": normal(1, 1, 1, 1), "folded": normal(1)}
    return make_model(nodes, {"x": kind}, {"y": kind}, constants)


def test_nodes_take_the_path_of_their_module() -> None:
    model = name_by_module(named_model(), "net.")
    assert [node.name for node in model.graph.node] == [
        "up1.0.conv1/Conv",
        "up1.0.relu/Relu",
        "up1.0/Add",
        "up1.0/Add_1",
        "Relu",
    ]
    assert [tensor.name for tensor in model.graph.initializer] == [
        "up1.0.conv1.weight",
        "up1.0.conv1.bias",
    ]
    assert list(model.graph.node[-1].output) == ["y"]
    run(model, x=normal(1, 1, 2, 2))


def test_metadata_goes() -> None:
    model = strip_metadata(named_model())
    assert not any(node.metadata_props for node in model.graph.node)


def test_finish_runs_every_pass() -> None:
    model = conv_norm_model("Conv", normal(6, 4, 3, 3), 1, False)
    x = normal(2, 4, 5, 6)
    before = run(model, x=x)
    finish(model)
    assert [node.name for node in model.graph.node] == ["conv/Conv"]
    assert {tensor.name for tensor in model.graph.initializer} == {"conv.weight", "conv.bias"}
    assert model.ir_version == IR_VERSION
    assert_same_result(model, before, x=x)
