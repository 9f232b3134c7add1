"""Quantize and dequantize nodes: where they are, and that results stay close."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from calibration.insert_qdq import insert_qdq
from calibration.int8_region import Target
from calibration.observers import observe
from calibration.quantize import Quantizable, Ranges, quantize_model
from calibration.quantize_rules import Placement, plan_quantization
from calibration.ranges import RangeMethod, choose_threshold
from calibration.weights import DEFAULT_WEIGHTS, Granularity, WeightMethod, WeightOptions
from export.functions import is_corner_pool
from export.int8_on_cpu import RANGES_KEY
from export.onnx_graph import GraphIndex
from export.precision import convert_to_fp16
from tests.calibration.small_graphs import SIZE, SmallGraph
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import make_model, run


def quantize(model: ModelProto, weights: WeightOptions = DEFAULT_WEIGHTS) -> ModelProto:
    plan = plan_quantization(model)
    found = observe(model, plan.observed(), random_frames(8), 8)
    thresholds = {t: choose_threshold(h, RangeMethod.MSE) for t, h in found.items()}
    return insert_qdq(model, plan, thresholds, weights)


@pytest.fixture(name="quantized", scope="module")
def quantized_network() -> ModelProto:
    return quantize(make_tiny_network())


def constants_of(model: ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_results_stay_close(quantized: ModelProto) -> None:
    for frame in random_frames(3, seed=9):
        expected = run(make_tiny_network(), frames=frame)[0]
        found = run(quantized, frames=frame)[0]
        error = np.sqrt(np.square(found - expected).mean() / expected.var())
        assert 0 < error < 0.1


def test_quantization_is_symmetric_with_positive_scales(quantized: ModelProto) -> None:
    constants = constants_of(quantized)
    for node in quantized.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            assert (scale > 0).all() and scale.dtype == np.float32
            assert zero.dtype == np.int8 and not zero.any()
            assert scale.shape == zero.shape


def test_weights_are_per_channel_and_activations_per_tensor(quantized: ModelProto) -> None:
    index = GraphIndex.of(quantized.graph)
    constants = constants_of(quantized)
    for node in quantized.graph.node:
        if node.op_type == "Conv" and node.name not in ("stem/Conv", "head.1/Conv"):
            activation, weights = (index.producers[name] for name in node.input[:2])
            assert activation.op_type == weights.op_type == "DequantizeLinear"
            assert constants[activation.input[1]].shape == ()
            assert constants[weights.input[0]].dtype == np.int8
            assert constants[weights.input[1]].shape == (16,)
            assert constants[node.input[2]].dtype == np.float32  # the bias, a plain constant


def test_one_scale_per_tensor_of_weights() -> None:
    model = quantize(make_tiny_network(), WeightOptions(Granularity.PER_TENSOR, WeightMethod.MSE))
    index, constants = GraphIndex.of(model.graph), constants_of(model)
    makers = [index.producers[n.input[1]] for n in model.graph.node if n.name == "join.0/Conv"]
    (weights,) = (maker for maker in makers if maker.op_type == "DequantizeLinear")
    assert constants[weights.input[1]].shape == constants[weights.input[2]].shape == ()
    expected, found = (run(m, frames=random_frames(1)[0])[0] for m in (make_tiny_network(), model))
    assert 0 < np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()


def test_transposed_convolutions_have_their_scales_on_axis_1() -> None:
    graph = SmallGraph()
    graph.conv("up", graph.conv("a", "x"), 32, kind="ConvTranspose")
    graph.conv("b", "up")
    model = graph.model("b")
    x = np.random.default_rng(0).normal(size=(1, 16, SIZE, SIZE)).astype(np.float32)
    (expected,) = run(model, x=x)
    plan = plan_quantization(model, Placement(target=Target.TENSORRT))
    assert "up" in plan.convolutions
    insert_qdq(model, plan, dict.fromkeys(plan.observed(), 4.0))
    (weights,) = (n for n in model.graph.node if n.name == "up/weight/DequantizeLinear")
    assert next(a.i for a in weights.attribute if a.name == "axis") == 1
    assert constants_of(model)[weights.input[1]].shape == (32,)
    assert np.abs(run(model, x=x)[0] - expected).mean() < 0.05 * np.abs(expected).mean()


@pytest.mark.parametrize("granularity", list(Granularity))
def test_weights_for_a_half_base_are_rounded_to_the_scales_that_are_stored(
    granularity: Granularity,
) -> None:
    model = make_tiny_network()
    for tensor in model.graph.initializer:
        if tensor.name == "join.0.weight":  # all scales below the smallest normal half
            tiny = numpy_helper.to_array(tensor) * np.float32(1e-3)
            tensor.CopyFrom(numpy_helper.from_array(tiny, tensor.name))
    thresholds = dict.fromkeys(plan_quantization(model).observable(), 4.0)
    source = Quantizable(model, Ranges({}, thresholds), WeightOptions(granularity))
    constants = constants_of(quantize_model(source, Placement(), "fp16").model)
    index = GraphIndex.of(quantize_model(source, Placement(), "fp16").model.graph)
    weights = index.producers["join.0/Conv/weight/dequantized"]
    scales = constants[weights.input[1]]
    assert scales.dtype == np.float16 and (scales == np.float16(2**-14)).all()
    np.testing.assert_array_equal(
        constants[weights.input[0]], np.rint(tiny / np.float32(2**-14)).astype(np.int8)
    )


def test_float_convolutions_and_their_weights_are_untouched(quantized: ModelProto) -> None:
    original = constants_of(make_tiny_network())
    kept = constants_of(quantized)
    for name in ("stem.weight", "head.1.weight"):
        np.testing.assert_array_equal(kept[name], original[name])
    assert "block.0.weight" not in kept  # int8 replaced it


def test_no_tensor_is_quantized_twice(quantized: ModelProto) -> None:
    sources = [n.input[0] for n in quantized.graph.node if n.op_type == "QuantizeLinear"]
    assert len(sources) == len(set(sources))


def test_relu_follows_its_convolution_directly(quantized: ModelProto) -> None:
    index = GraphIndex.of(quantized.graph)
    for node in quantized.graph.node:
        if node.op_type == "Relu":
            assert index.producers[node.input[0]].op_type in ("Conv", "Add")


def test_both_sides_of_a_pooling_share_a_scale(quantized: ModelProto) -> None:
    index, constants = GraphIndex.of(quantized.graph), constants_of(quantized)
    pool = index.producers["lower/MaxPool"]
    before = index.producers[pool.input[0]]
    (after,) = index.consumers["lower/MaxPool"]
    assert after.op_type == "QuantizeLinear"
    assert constants[before.input[1]] == constants[after.input[1]]
    pools = [node for node in quantized.graph.node if is_corner_pool(node)]
    assert all(index.producers[n.input[0]].op_type == "DequantizeLinear" for n in pools)


def test_all_thresholds_travel_in_the_model(quantized: ModelProto) -> None:
    properties = {entry.key: entry.value for entry in quantized.metadata_props}
    thresholds = json.loads(properties[RANGES_KEY])
    assert thresholds.keys() == set(plan_quantization(make_tiny_network()).observed())
    assert min(thresholds.values()) > 0


def test_other_metadata_survives() -> None:
    model = make_tiny_network()
    helper.set_model_props(model, {"author": "somebody"})
    assert {e.key for e in quantize(model).metadata_props} == {"author", RANGES_KEY}


def test_a_half_base_runs_and_keeps_int8() -> None:
    model = convert_to_fp16(quantize(make_tiny_network()))
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    scales = [kinds[n.input[1]] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert set(scales) == {TensorProto.FLOAT16}
    assert sum(kind == TensorProto.INT8 for kind in kinds.values()) > 8
    expected = run(make_tiny_network(), frames=random_frames(1)[0])[0]
    found = run(model, frames=random_frames(1)[0])[0]
    assert np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()


def test_weights_that_two_convolutions_share_are_quantized_for_each() -> None:
    weights = np.random.default_rng(0).normal(size=(16, 16, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", [source, "w"], [result], name=result)
        for source, result in (("x", "a"), ("a", "b"), ("b", "y"))
    ]
    border = (TensorProto.FLOAT, (1, 16, 4, 4))
    model = make_model(nodes, {"x": border}, {"y": border}, {"w": weights})
    x = np.random.default_rng(1).normal(size=(1, 16, 4, 4)).astype(np.float32)
    (expected,) = run(model, x=x)
    plan = plan_quantization(model)
    assert plan.convolutions == {"a", "b"}
    found = observe(model, plan.observed(), [x], 1)
    insert_qdq(model, plan, {t: h.peak for t, h in found.items()})
    (quantized,) = run(model, x=x)
    assert np.abs(quantized - expected).max() < 0.05 * np.abs(expected).max()
