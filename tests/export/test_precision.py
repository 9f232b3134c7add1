"""Tests of the conversion to half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from export.decode_function import inline_corner_decode
from export.functions import CORNER_POOL, CornerPoolForm, inline_corner_pool, make_corner_pool
from export.onnx_graph import GraphIndex, load_model, tensor_types
from export.precision import BF16_OPSET, FP16, convert_to_bf16, convert_to_fp16
from export.precision_rules import Surroundings, rule_of
from export.surgery import keep_outputs
from runtime.errors import ExportError
from tests.export.conftest import SIZE_HW
from tests.export.tiny_models import make_model, op_types, run

FLOAT, HALF, INT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8
MAP = (FLOAT, (1, 4, 6, 6))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def conv_model(weight: np.ndarray) -> ModelProto:
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="conv/Conv", pads=[1, 1, 1, 1])
    return make_model([conv], {"x": MAP}, {"y": MAP}, {"w": weight})


def quantized_conv_model(weight_scale: np.ndarray) -> tuple[ModelProto, np.ndarray]:
    """Return Q/DQ -> Conv with stored INT8 weights, and those weights as numbers."""
    stored = np.random.default_rng(0).integers(-127, 128, (4, 4, 3, 3)).astype(np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], name="conv/QuantizeLinear"),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"], name="conv/In"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], name="conv/W", axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["y"], name="conv/Conv", pads=[1, 1, 1, 1]),
    ]
    constants = {
        "s": np.float32(1 / 16),  # exact in half, so that both precisions round alike
        "z": np.int8(0),
        "w": stored,
        "ws": weight_scale,
        "wz": np.zeros(4, np.int8),
    }
    model = make_model(nodes, {"x": MAP}, {"y": MAP}, constants)
    return model, stored * weight_scale[:, None, None, None]


def constant(model: ModelProto, node_name: str, operand: int) -> np.ndarray:
    index = GraphIndex.of(model.graph)
    node = next(node for node in model.graph.node if node.name == node_name)
    value = index.constant(node.input[operand])
    assert value is not None
    return value


def test_weights_and_arithmetic_become_half_and_the_border_stays() -> None:
    x, weight = normal(1, 4, 6, 6), normal(4, 4, 3, 3)
    (before,) = run(conv_model(weight), x=x)
    model = convert_to_fp16(conv_model(weight))
    assert op_types(model) == ["Cast", "Conv", "Cast"]
    assert [tensor.data_type for tensor in model.graph.initializer] == [HALF]
    (after,) = run(model, x=x)
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, before, atol=0.02)
    assert not np.array_equal(after, before)


def test_one_cast_serves_all_readers() -> None:
    nodes = [helper.make_node(op, ["x"], [op], name=f"m/{op}") for op in ("Relu", "Neg", "Abs")]
    model = convert_to_fp16(make_model(nodes, {"x": MAP}, dict.fromkeys(("Relu", "Neg"), MAP)))
    assert op_types(model).count("Cast") == 3  # one in, two out


def test_an_output_that_other_nodes_read_keeps_its_type() -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], name="m/Neg"),
        helper.make_node("Relu", ["a"], ["y"], name="m/Relu"),
    ]
    model = convert_to_fp16(make_model(nodes, {"x": MAP}, {"a": MAP, "y": MAP}))
    x = normal(1, 4, 6, 6).astype(np.float16).astype(np.float32)
    a, y = run(model, x=x)
    np.testing.assert_array_equal(a, -x)
    np.testing.assert_array_equal(y, np.maximum(a, 0))


def test_custom_node_computes_in_half_with_its_function() -> None:
    model = make_model([make_corner_pool("x", "y", "top")], {"x": MAP}, {"y": MAP})
    convert_to_fp16(model)
    assert op_types(model) == ["Cast", CORNER_POOL, "Cast"]
    assert len(model.functions) == 1
    x = normal(1, 4, 6, 6).astype(np.float16).astype(np.float32)
    want = np.flip(np.maximum.accumulate(np.flip(x, 2), 2), 2)
    np.testing.assert_array_equal(run(model, x=x)[0], want)


def test_resize_keeps_its_scales_in_single_precision() -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], name="up/Resize", mode="nearest")
    scales = {"scales": np.float32([1, 1, 2, 2])}
    model = make_model([node], {"x": MAP}, {"y": (FLOAT, (1, 4, 12, 12))}, scales)
    convert_to_fp16(model)
    assert constant(model, "up/Resize", 2).dtype == np.float32
    run(model, x=normal(1, 4, 6, 6))


def test_attributes_that_hold_or_name_floats_become_half() -> None:
    ones = helper.make_tensor("", FLOAT, [1], [3.0])
    nodes = [
        helper.make_node("Constant", [], ["c"], name="m/Constant", value=ones),
        helper.make_node("Cast", ["u"], ["f"], name="m/Cast", to=FLOAT),
        helper.make_node("Mul", ["f", "c"], ["y"], name="m/Mul"),
    ]
    model = make_model(nodes, {"u": (TensorProto.UINT8, (2,))}, {"y": (FLOAT, (2,))})
    convert_to_fp16(model)
    assert op_types(model) == ["Constant", "Cast", "Mul", "Cast"]
    np.testing.assert_array_equal(run(model, u=np.array([1, 2], np.uint8))[0], [3, 6])


def test_int8_graph_gets_half_scales() -> None:
    model, _ = quantized_conv_model(np.float32([0.01, 0.02, 0.03, 0.04]))
    x = normal(1, 4, 6, 6).astype(np.float16).astype(np.float32)
    (before,) = run(model, x=x)
    convert_to_fp16(model)
    for name in ("conv/QuantizeLinear", "conv/In", "conv/W"):
        assert constant(model, name, 1).dtype == np.float16
    assert tensor_types(model)["xd"].elem_type == HALF
    assert tensor_types(model)["xq"].elem_type == INT8
    np.testing.assert_allclose(run(model, x=x)[0], before, rtol=0.01, atol=0.05)


def test_scales_below_the_range_of_half_are_lifted_and_weights_stored_again() -> None:
    scale = np.float32([2.0**-16, 0.02, 2.0**-20, 0.04])
    model, weight = quantized_conv_model(scale)
    convert_to_fp16(model)
    lifted = constant(model, "conv/W", 1)
    assert lifted.min() >= FP16.smallest
    stored = constant(model, "conv/W", 0)
    assert stored.dtype == np.int8
    again = stored * lifted.astype(np.float32)[:, None, None, None]
    np.testing.assert_allclose(again, weight, atol=FP16.smallest / 2, rtol=1e-3)
    run(model, x=normal(1, 4, 6, 6))


def test_a_constant_too_large_for_half_keeps_its_node_in_single_precision() -> None:
    model = conv_model(np.full((4, 4, 3, 3), 7e4, np.float32))
    convert_to_fp16(model)
    assert op_types(model) == ["Conv"] and constant(model, "conv/Conv", 1).dtype == np.float32


def test_too_large_a_number_inside_a_node_is_refused() -> None:
    value = helper.make_tensor("", FLOAT, [1], [7e4])
    nodes = [
        helper.make_node("Constant", [], ["c"], name="m/Constant", value=value),
        helper.make_node("Mul", ["x", "c"], ["y"], name="m/Mul"),
    ]
    with pytest.raises(ExportError, match=r"reaches 7e\+04; fp16 ends at 6.55e\+04"):
        convert_to_fp16(make_model(nodes, {"x": MAP}, {"y": MAP}))


def test_bf16_has_the_range_of_single_precision_and_eight_bits() -> None:
    model = convert_to_bf16(conv_model(np.full((4, 4, 3, 3), 1.003e5, np.float32)))
    assert op_types(model) == ["Cast", "Conv", "Cast"]
    stored = constant(model, "conv/Conv", 1).astype(np.float32)
    assert stored.flat[0] == 100352  # the nearest multiple of 512
    assert model.opset_import[0].version == BF16_OPSET
    onnx.checker.check_model(model, full_check=True)


def test_half_scales_need_opset_19() -> None:
    model, _ = quantized_conv_model(np.full(4, 0.1, np.float32))
    model.opset_import[0].version = 17
    with pytest.raises(ExportError, match="opset 17; half-precision scales need 19"):
        convert_to_fp16(model)


def test_unknown_tensor_type_is_refused() -> None:
    node = helper.make_node("NoSuchOperator", ["x"], ["a"], domain="elsewhere", name="m/a")
    after = helper.make_node("Relu", ["a"], ["y"], name="m/Relu")
    model = make_model([node, after], {"x": MAP}, {"y": MAP})
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(ExportError, match="'a' is unknown"):
        convert_to_fp16(model)


def test_nano_in_half_stays_close_and_decodes_in_single(nano_onnx: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *SIZE_HW, 3), np.uint8)
    names = ["tl_heat", "br_tag", "tl_off"]
    before = run(keep_outputs(load_model(nano_onnx), names), frames=frames)
    model = convert_to_fp16(load_model(nano_onnx))
    types = tensor_types(model)
    around = Surroundings(GraphIndex.of(model.graph))
    for node in model.graph.node:
        kinds = {types[name].elem_type for name in node.output}
        if rule_of(around, node) and not node.name.endswith("half/Cast"):
            assert not kinds & {HALF}, node.name
        elif node.op_type in ("Conv", CORNER_POOL, "Resize"):
            assert kinds == {HALF}, node.name
    outputs = [(v.name, v.type.tensor_type.elem_type) for v in model.graph.output]
    assert outputs == [
        ("boxes", FLOAT),
        ("scores", FLOAT),
        ("class_ids", TensorProto.INT32),
        ("corner_scores", FLOAT),
    ]
    onnx.checker.check_model(model, full_check=True)
    after = run(keep_outputs(model, names), frames=frames)
    for was, now in zip(before, after, strict=True):
        assert np.abs(was - now.astype(np.float32)).max() < 0.02 * np.abs(was).max()


def test_nano_in_bf16_is_valid_onnx(nano_onnx: Path) -> None:
    model = convert_to_bf16(load_model(nano_onnx))
    onnx.checker.check_model(model)
    inline_corner_decode(model)
    inline_corner_pool(model, CornerPoolForm.MAX_POOL)
    onnx.checker.check_model(model, full_check=True)
    types = tensor_types(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert {types[node.output[0]].elem_type for node in convolutions} == {TensorProto.BFLOAT16}
