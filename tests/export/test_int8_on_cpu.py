"""The INT8 placement for processors: fused by ONNX Runtime, and the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from calibration.insert_qdq import insert_qdq
from calibration.int8_region import Target
from calibration.quantize_rules import Placement, plan_quantization
from calibration.weights import Granularity, WeightMethod, WeightOptions
from export.builder_onnxruntime import build_onnxruntime
from export.int8_on_cpu import prepare_int8, quantize_additions, use_unsigned_activations
from export.onnx_graph import GraphIndex, load_model, save_model
from tests.calibration.small_graphs import SIZE, fire_modules
from tests.calibration.test_insert_qdq import quantize
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import make_model, run


@pytest.fixture(name="quantized")
def quantized_network() -> ModelProto:
    return quantize(make_tiny_network())


def maker_of(model: ModelProto, name: str, position: int) -> str:
    """The operator that makes an input of a node."""
    index = GraphIndex.of(model.graph)
    node = next(node for node in model.graph.node if node.name == name)
    return str(index.producers[node.input[position]].op_type)


def zero_points(model: ModelProto) -> dict[str, np.ndarray]:
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return {
        node.input[0]: constants[node.input[2]]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


def test_both_branches_of_additions_become_quantized(quantized: ModelProto) -> None:
    assert maker_of(quantized, "block.sum/Add", 0) == "Conv"
    quantize_additions(quantized)
    for name in ("block.sum/Add", "merge/Add", "join/Add"):
        assert [maker_of(quantized, name, i) for i in (0, 1)] == ["DequantizeLinear"] * 2


def test_additions_of_corner_pools_stay_float(quantized: ModelProto) -> None:
    quantize_additions(quantized)
    assert [maker_of(quantized, "pooled/Add", i) for i in (0, 1)] == ["CornerPool"] * 2


def test_an_upsampled_branch_keeps_its_scale(quantized: ModelProto) -> None:
    quantize_additions(quantized)
    index = GraphIndex.of(quantized.graph)
    resize = index.producers["lower/Resize"]
    (after,) = index.consumers["lower/Resize"]
    assert index.producers[resize.input[0]].input[1] == after.input[1]


def test_tensors_behind_relu_have_zero_point_0(quantized: ModelProto) -> None:
    points = zero_points(prepare_int8(quantized))
    assert {p.dtype for p in points.values()} == {np.dtype(np.uint8)}
    assert points["stem/Relu"] == points["lower/MaxPool"] == points["pooled/Add"] == 0
    assert points["block.1/Conv"] == points["join.1/Conv"] == 128


def test_unsigned_activations_give_the_same_numbers(quantized: ModelProto) -> None:
    frame = random_frames(1)[0]
    expected = run(quantized, frames=frame)[0]
    found = run(use_unsigned_activations(quantized), frames=frame)[0]
    # Only values beyond their calibrated range differ: they are no longer clipped at 127.
    assert np.abs(found - expected).mean() < 0.01 * np.abs(expected).mean()


def test_the_whole_pass_stays_close_to_float(quantized: ModelProto) -> None:
    prepare_int8(quantized)
    for frame in random_frames(3, seed=9):
        expected = run(make_tiny_network(), frames=frame)[0]
        error = np.square(run(quantized, frames=frame)[0] - expected).mean() / expected.var()
        assert 0 < error < 0.01


def test_without_ranges_float_branches_stay(quantized: ModelProto) -> None:
    del quantized.metadata_props[:]
    prepare_int8(quantized)
    assert maker_of(quantized, "block.sum/Add", 0) == "Conv"
    run(quantized, frames=random_frames(1)[0])


def test_a_float_model_is_left_alone() -> None:
    model = make_tiny_network()
    expected = run(model, frames=random_frames(1)[0])
    found = run(prepare_int8(model), frames=random_frames(1)[0])
    np.testing.assert_array_equal(found[0], expected[0])


def test_concatenations_give_their_branches_the_same_scale() -> None:
    border = (TensorProto.FLOAT, (1, 4, 2, 2))
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Neg", ["x"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)}
    model = make_model(nodes, {"x": border}, {"y": (TensorProto.FLOAT, (1, 8, 2, 2))}, constants)
    x = np.random.default_rng(0).normal(size=(1, 4, 2, 2)).astype(np.float32)
    (expected,) = run(model, x=x)
    prepare_int8(model)
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 3
    assert {n.input[1] for n in model.graph.node if n.op_type == "QuantizeLinear"} == {"s"}
    np.testing.assert_allclose(run(model, x=x)[0], expected, atol=1e-6)


@pytest.mark.parametrize("granularity", list(Granularity))
@pytest.mark.parametrize(
    ("target", "fused"), [(Target.PORTABLE, 3), (Target.ONNXRUNTIME, 7), (Target.TENSORRT, 8)]
)
def test_fire_modules_run_in_integers(
    granularity: Granularity, target: Target, fused: int, tmp_path: Path
) -> None:
    model = fire_modules()
    x = np.random.default_rng(0).normal(size=(1, 32, SIZE, SIZE)).astype(np.float32)
    (floats,) = run(model, x=x)
    plan = plan_quantization(model, Placement(target=target))
    options = WeightOptions(granularity, WeightMethod.MSE)
    insert_qdq(model, plan, dict.fromkeys(plan.observable(), 4.0), options)
    (portable,) = run(model, x=x)
    source = save_model(model, tmp_path / "int8.onnx")
    # A convolution with a float reader cannot write integers: the two last ones, and where
    # depthwise convolutions are float, those before them.
    built = build_onnxruntime(source, tmp_path / "built.onnx", "int8")
    assert built.int8_convolutions == fused
    optimised = load_model(tmp_path / "built.onnx")
    kinds = [node.op_type for node in optimised.graph.node]
    assert kinds.count("QLinearConcat") == 2 and "Concat" not in kinds
    (found,) = run_optimised(tmp_path / "built.onnx", x)
    for result in (portable, found):
        assert np.square(result - floats).mean() < 0.01 * floats.var()


def run_optimised(path: Path, x: np.ndarray) -> list[np.ndarray]:
    """Run a file with ONNX Runtime's own operators, which ONNX's checker does not know."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )
