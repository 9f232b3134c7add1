"""Half precision on a processor: every stored value is rounded, and nothing else changes."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from calibration.report_half import emulate_half
from export.onnx_graph import tensor_types
from export.precision import convert_to_fp16
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import make_model, op_types, run

VALUES = np.linspace(0.1, 3.7, 16, dtype=np.float32)[None]


def two_steps() -> ModelProto:
    """Return a model of (x * 1/3) + 0.7, in which two results are stored."""
    nodes = [
        helper.make_node("Mul", ["x", "third"], ["scaled"], name="a/Mul"),
        helper.make_node("Add", ["scaled", "shift"], ["y"], name="b/Add"),
    ]
    kind = (TensorProto.FLOAT, (1, 16))
    constants = {"third": np.float32(1 / 3), "shift": np.float32(0.7)}
    return make_model(nodes, {"x": kind}, {"y": kind}, constants)


def test_every_stored_value_is_rounded():
    (found,) = run(emulate_half(convert_to_fp16(two_steps())), x=VALUES)
    half = np.float16
    scaled = (half(VALUES).astype(np.float32) * np.float32(half(1 / 3))).astype(half)
    expected = (scaled.astype(np.float32) + np.float32(half(0.7))).astype(half)
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert np.abs(found - (VALUES / 3 + 0.7)).max() > 0


def test_the_half_file_alone_would_flatter():
    """ONNX Runtime rounds weights only: the reason for all this."""
    half = convert_to_fp16(two_steps())
    (as_it_is,), (emulated,) = run(half, x=VALUES), run(emulate_half(half), x=VALUES)
    exact = VALUES / 3 + 0.7
    assert np.abs(as_it_is - exact).mean() <= np.abs(emulated - exact).mean()


def test_no_half_tensor_is_left_but_between_two_casts():
    emulated = emulate_half(convert_to_fp16(make_tiny_network()))
    halves = {n for n, k in tensor_types(emulated).items() if k.elem_type == TensorProto.FLOAT16}
    assert halves and all(name.endswith("/rounded") for name in halves)


def test_a_network_stays_close_and_its_input_is_not_modified():
    half = convert_to_fp16(make_tiny_network())
    before = half.SerializeToString()
    frame = random_frames(1)[0]
    (expected, *_), (found, *_) = (
        run(model, frames=frame) for model in (make_tiny_network(), emulate_half(half))
    )
    assert half.SerializeToString() == before
    difference = np.abs(found - expected).max()
    assert 0 < difference < 0.01 * np.abs(expected).max()


def test_a_single_precision_model_stays_as_it_is():
    model = make_tiny_network()
    assert op_types(emulate_half(model)) == op_types(model)
