"""Quantizing in memory: pure, repeatable, with any convolutions in INT8."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import onnx
import pytest

from calibration.observers import observe
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE, Placement, plan_quantization
from calibration.ranges import RangeMethod
from calibration.weights import QuantizedWeights, WeightOptions
from export.onnx_graph import GraphIndex
from export.precision_rules import noted_float_convolutions
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import run


@pytest.fixture(name="source", scope="module")
def quantizable() -> Quantizable:
    model = make_tiny_network()
    frames = random_frames(3)
    histograms = observe(model, observable(model, EVERYWHERE), frames, len(frames))
    return Quantizable(model, choose_ranges(histograms, RangeMethod.MSE))


def int8_convolutions(model: onnx.ModelProto) -> int:
    index = GraphIndex.of(model.graph)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(
        all(
            name in index.producers and index.producers[name].op_type == "DequantizeLinear"
            for name in node.input[:2]
        )
        for node in convolutions
    )


def test_the_float_model_is_not_modified_and_the_result_is_the_same_each_time(
    source: Quantizable,
) -> None:
    before = source.model.SerializeToString(deterministic=True)
    first, second = (quantize_model(source, EVERYWHERE).model for _ in range(2))
    assert source.model.SerializeToString(deterministic=True) == before
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )
    assert int8_convolutions(first) == 9


def test_ranges_serve_every_choice_of_convolutions(source: Quantizable) -> None:
    plan = plan_quantization(source.model)
    names = [decision.node for decision in plan.decisions if decision.int8]
    frame = random_frames(1)[0]
    reference = run(source.model, frames=frame)[0]
    pairs = [frozenset(pair) for pair in combinations(names, 2)]
    alone = [frozenset(names).difference({name}) for name in names]
    for floats in [*pairs, *alone]:
        model, plan = quantize_model(source, Placement(keep_float=floats))
        assert int8_convolutions(model) == len(names) - len(floats)
        found = run(model, frames=frame)[0]
        assert np.abs(found - reference).mean() < 0.1 * np.abs(reference).mean()


def test_convolutions_kept_float_say_why(source: Quantizable) -> None:
    model, plan = quantize_model(source, Placement(keep_float=frozenset({"block.0/Conv"})))
    (decision,) = [d for d in plan.decisions if d.node == "block.0/Conv"]
    assert not decision.int8 and decision.rule == "sensitive"
    assert noted_float_convolutions(model)["block.0/Conv"] == "sensitive"


def test_given_weights_are_used_as_they_are(source: Quantizable) -> None:
    given = QuantizedWeights(np.full((16, 16, 3, 3), 3, np.int8), np.float32([0.5] * 16), 0)
    improved = Quantizable(source.model, source.ranges, weights={"block.0/Conv": given})
    model, _ = quantize_model(improved, EVERYWHERE)
    index = GraphIndex.of(model.graph)
    (node,) = [node for node in model.graph.node if node.name == "block.0/Conv"]
    stored = index.constant(index.producers[node.input[1]].input[0])
    np.testing.assert_array_equal(stored, given.values)


def test_a_half_base_has_half_scales(source: Quantizable) -> None:
    model, _ = quantize_model(source, EVERYWHERE, "fp16")
    index = GraphIndex.of(model.graph)
    quantize = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    constants = {index.initializers[node.input[1]].data_type for node in quantize}
    assert constants == {onnx.TensorProto.FLOAT16}


def test_the_float_twin_of_a_half_base_has_its_scales(source: Quantizable) -> None:
    options = WeightOptions(scale_dtype=np.dtype(np.float16))
    rounded = Quantizable(source.model, source.ranges, options)
    twin, half = (quantize_model(rounded, EVERYWHERE, base).model for base in ("fp32", "fp16"))
    scales = [
        {
            node.input[0].removesuffix("/half"): float(index.constant(node.input[1]))
            for node in model.graph.node
            if node.op_type == "QuantizeLinear"
        }
        for model, index in ((m, GraphIndex.of(m.graph)) for m in (twin, half))
    ]
    assert scales[0] == scales[1] and len(scales[0]) > 5


def test_a_model_that_is_quantized_already_is_refused(source: Quantizable) -> None:
    model, _ = quantize_model(source, EVERYWHERE)
    with pytest.raises(CalibrationError, match="quantize nodes already"):
        quantize_model(Quantizable(model, source.ranges), EVERYWHERE)


def test_nothing_in_int8_is_refused(source: Quantizable) -> None:
    everything = frozenset(d.node for d in plan_quantization(source.model).decisions)
    with pytest.raises(CalibrationError, match="none of 11 convolutions"):
        quantize_model(source, Placement(keep_float=everything))
