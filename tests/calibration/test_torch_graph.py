"""The graph in torch gives what ONNX Runtime gives, and gradients pass through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper

from calibration.quantize import quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.torch_graph import constants_of, quantize, run_nodes
from export.functions import make_corner_pool
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network
from tests.calibration.tiny_source import FRAMES, make_source, run_tensor
from tests.export.tiny_models import make_model, run

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, (2, 4, 6, 7)).astype(np.float32)


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def node(kind: str, *constants: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, ["x", *constants], ["y"], name="tested", **attributes)


NEAREST = {
    "mode": "nearest",
    "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric",
}
SCALES = np.array([1, 1, 2, 3], np.float32)
ZERO, MIDDLE = np.int8(0), np.uint8(128)
CASES: dict[str, tuple[NodeProto, dict[str, np.ndarray]]] = {
    "add": (node("Add", "c"), {"c": values(1, 4, 1, 1)}),
    "mul": (node("Mul", "c"), {"c": values(1, 4, 1, 1)}),
    "relu": (node("Relu"), {}),
    "sigmoid": (node("Sigmoid"), {}),
    "transpose": (node("Transpose", perm=[0, 2, 3, 1]), {}),
    "concat": (node("Concat", "c", axis=1), {"c": values(2, 3, 6, 7)}),
    "conv": (
        node("Conv", "w", "b", strides=[2, 1], pads=[1, 2, 1, 2], dilations=[1, 2]),
        {"w": values(5, 4, 3, 3), "b": values(5)},
    ),
    "conv one side": (node("Conv", "w", pads=[1, 0, 0, 2]), {"w": values(5, 4, 3, 3)}),
    "conv in groups": (node("Conv", "w", group=2), {"w": values(6, 2, 1, 1)}),
    "transposed": (
        node("ConvTranspose", "w", "b", strides=[2, 2], pads=[1, 1, 1, 1]),
        {"w": values(4, 5, 4, 4), "b": values(5)},
    ),
    "transposed in groups": (node("ConvTranspose", "w", group=4), {"w": values(4, 1, 2, 2)}),
    "max pool": (
        node("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
        {},
    ),
    "upsampled": (node("Resize", "", "s", **NEAREST), {"s": SCALES}),
    "quantized": (node("QuantizeLinear", "s", "z"), {"s": np.float32(0.01), "z": ZERO}),
    "unsigned": (node("QuantizeLinear", "s", "z"), {"s": np.float32(0.01), "z": MIDDLE}),
    "top": (make_corner_pool("x", "y", "top"), {}),
    "bottom": (make_corner_pool("x", "y", "bottom"), {}),
    "left": (make_corner_pool("x", "y", "left"), {}),
    "right": (make_corner_pool("x", "y", "right"), {}),
}


def run_in_torch(model: ModelProto, inputs: Mapping[str, np.ndarray], wanted: str) -> np.ndarray:
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    found = run_nodes(model.graph.node, {**constants_of(model), **tensors}, [wanted])
    return found[wanted].numpy()


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_what_onnx_runtime_gives(case: str) -> None:
    tested, constants = CASES[case]
    kind = TensorProto.FLOAT
    if tested.op_type == "QuantizeLinear":
        kind = TensorProto.INT8 if constants["z"].dtype == np.int8 else TensorProto.UINT8
    model = make_model(
        [tested], {"x": (TensorProto.FLOAT, X.shape)}, {"y": (kind, (None,) * 4)}, constants
    )

    found = run_in_torch(model, {"x": X}, "y")

    np.testing.assert_allclose(found, run(model, x=X)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_dequantized_along_their_axis(axis: int) -> None:
    weights = np.random.default_rng(0).integers(-127, 128, (3, 3, 2, 2), dtype=np.int8)
    constants = {"w": weights, "s": np.array([0.5, 1, 2], np.float32), "z": np.zeros(3, np.int8)}
    dequantize = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["y"], axis=axis)
    model = make_model([dequantize], {}, {"y": (TensorProto.FLOAT, (3, 3, 2, 2))}, constants)

    np.testing.assert_array_equal(run_in_torch(model, {}, "y"), run(model)[0])


def test_the_tiny_network_is_the_same_in_float_and_nearly_when_quantized() -> None:
    source = make_source()
    for model, tolerance in (
        (source.model, 1e-5),
        (quantize_model(source, EVERYWHERE).model, 2e-2),  # a value between two steps may flip
    ):
        found = run_in_torch(model, {"frames": FRAMES[0]}, "heat")
        np.testing.assert_allclose(found, run_tensor(model, "heat")[:1], atol=tolerance)


def test_only_nodes_that_are_wanted_run_and_given_tensors_count() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("NonZero", ["a"], ["b"]),  # unknown, and not needed
        helper.make_node("Relu", ["a"], ["y"]),
    ]

    found = run_nodes(nodes, {"a": torch.tensor([-1.0, 2.0])}, ["y"])

    assert found["y"].tolist() == [0.0, 2.0]


def test_gradients_pass_the_rounding_and_stop_at_the_clipping() -> None:
    x = torch.tensor([0.26, 5.0], requires_grad=True)
    scale = torch.tensor(0.1)
    scale.requires_grad_(True)

    quantized = quantize(x, scale, torch.tensor(0, dtype=torch.int8)) * scale
    quantized.sum().backward()

    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([1.0, 1.0])
    x.grad = None
    large = torch.tensor([500.0], requires_grad=True)
    quantize(large, torch.tensor(1.0), torch.tensor(0, dtype=torch.int8)).sum().backward()
    assert large.grad is not None
    assert large.grad.tolist() == [0.0]
    # Learned step size: the rounding error inside the range.
    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx((3 - 2.6) + (50 - 50.0), abs=1e-4)


def test_an_unknown_operator_is_refused_by_name() -> None:
    with pytest.raises(CalibrationError, match=r"tested is a Softmax; expected one of .*Conv"):
        run_nodes([node("Softmax")], {"x": torch.zeros(1)}, ["y"])


@pytest.mark.parametrize(
    ("refused", "operands", "message"),
    [
        (node("Resize", "", "s", mode="linear"), [np.array([1, 1, 2, 2])], "a Resize is"),
        (node("Resize", "", "s", **NEAREST), [np.array([1, 1, 1.5, 2])], "whole factors"),
        (node("Conv", "w", auto_pad="SAME_UPPER"), [values(5, 4, 3, 3)], "auto_pad SAME_UPPER"),
        (node("ConvTranspose", "w", pads=[0, 0, 1, 1]), [values(4, 5, 3, 3)], "both sides"),
        (node("Cast", to=TensorProto.FLOAT16), [], "Cast to FLOAT16"),
    ],
)
def test_forms_of_known_operators_that_are_not_exported_are_refused(
    refused: NodeProto, operands: list[np.ndarray], message: str
) -> None:
    names = [name for name in refused.input[1:] if name]
    given = {n: torch.from_numpy(v) for n, v in zip(names, operands, strict=True)}

    with pytest.raises(CalibrationError, match=message):
        run_nodes([refused], {"x": torch.from_numpy(X), **given}, ["y"])


def test_constants_share_no_memory_with_the_model() -> None:
    model = make_tiny_network()
    constants = constants_of(model)
    constants["head.0.bias"].fill_(7.0)

    assert not (constants_of(model)["head.0.bias"] == 7.0).any()
