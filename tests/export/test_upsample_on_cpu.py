"""Transposed convolutions as four convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.upsample_on_cpu import split_transposed_convolutions
from tests.export.tiny_models import make_model, op_types

CHANNELS = (3, 5)


def upsampling(size_hw: tuple[int, int], has_bias: bool = True, **changed: Any) -> ModelProto:
    """Return one transposed convolution from 3 to 5 channels, as torch exports it."""
    attributes = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1], **changed}
    kernel = attributes["kernel_shape"]
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(size=(CHANNELS[0], CHANNELS[1], *kernel)), "b": rng.normal(size=5)}
    inputs = ["x", "w", "b"] if has_bias else ["x", "w"]
    node = helper.make_node("ConvTranspose", inputs, ["y"], name="up", **attributes)
    model = make_model(
        [node],
        {"x": (TensorProto.FLOAT, ("N", CHANNELS[0], *size_hw))},
        {"y": (TensorProto.FLOAT, ("N", CHANNELS[1], None, None))},
    )
    for name in inputs[1:]:
        model.graph.initializer.append(
            numpy_helper.from_array(constants[name].astype(np.float32), name)
        )
    return model


def run(model: ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x})
    return y


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (6, 2), (9, 8)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_result_is_the_same(size_hw: tuple[int, int], has_bias: bool) -> None:
    x = np.random.default_rng(1).normal(size=(2, CHANNELS[0], *size_hw)).astype(np.float32)
    expected = run(upsampling(size_hw, has_bias), x)
    model = split_transposed_convolutions(upsampling(size_hw, has_bias))
    assert op_types(model) == ["Conv"] * 4 + ["Concat", "DepthToSpace"]
    got = run(model, x)
    assert got.shape == expected.shape == (2, CHANNELS[1], 2 * size_hw[0], 2 * size_hw[1])
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_old_weights_go() -> None:
    model = split_transposed_convolutions(upsampling((4, 4)))
    names = {tensor.name for tensor in model.graph.initializer}
    assert "w" not in names and "b" in names and len(names) == 5


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel_shape": [3, 3]},
        {"strides": [1, 1]},
        {"pads": [0, 0, 0, 0]},
        {"output_padding": [1, 1]},
        {"dilations": [2, 2]},
        {"auto_pad": "SAME_UPPER"},
    ],
)
def test_other_forms_are_left_alone(changed: dict[str, Any]) -> None:
    model = split_transposed_convolutions(upsampling((4, 4), **changed))
    assert op_types(model) == ["ConvTranspose"]


def test_computed_weights_are_left_alone() -> None:
    model = upsampling((4, 4))
    del model.graph.initializer[0]
    weights = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 5, 4, 4])
    model.graph.input.append(weights)
    assert op_types(split_transposed_convolutions(model)) == ["ConvTranspose"]
