"""A walk keeps the float and the quantized network side by side."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from calibration.block_walk import Budget, finish_walk, start_walk
from calibration.quantize import quantize_model
from calibration.quantize_rules import EVERYWHERE
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import SIZE, make_tiny_network
from tests.calibration.tiny_source import FRAMES, make_source, run_tensor
from tests.export.tiny_models import make_model


def test_a_walk_arrives_at_what_both_networks_give() -> None:
    source = make_source()
    _, walk = start_walk(source, EVERYWHERE, FRAMES, Budget())
    for block, targets in walk.steps():
        if "heat" in block.outputs:
            float_heat = targets["heat"].numpy()
            heat = walk.run_quantized(block, ["heat"])["heat"].numpy()

    np.testing.assert_allclose(float_heat, run_tensor(source.model, "heat"), atol=1e-5)
    quantized = run_tensor(quantize_model(source, EVERYWHERE).model, "heat")
    assert np.abs(heat - quantized).mean() < 1e-3  # a value between two steps may flip
    assert walk.values == walk.float_values == {}


def test_a_walk_that_changes_nothing_gives_the_same_quantized_network() -> None:
    source = make_source()
    copy, walk = start_walk(source, EVERYWHERE, FRAMES, Budget())
    for _ in walk.steps():
        pass
    finished = finish_walk(copy, walk)

    np.testing.assert_array_equal(
        run_tensor(quantize_model(finished, EVERYWHERE).model, "heat"),
        run_tensor(quantize_model(source, EVERYWHERE).model, "heat"),
    )
    assert finished.ranges.thresholds == source.ranges.thresholds


@pytest.mark.parametrize(
    ("budget", "images"), [(Budget(), 8), (Budget(images=3), 3), (Budget(memory_bytes=1), 1)]
)
def test_images_are_those_that_fit(budget: Budget, images: int) -> None:
    _, walk = start_walk(make_source(), EVERYWHERE, FRAMES, budget)

    assert walk.values["frames"].shape == (images, SIZE, SIZE, 3)


def test_tensors_that_nobody_reads_any_more_are_dropped() -> None:
    _, walk = start_walk(make_source(), EVERYWHERE, FRAMES, Budget())
    for number, _ in enumerate(walk.steps()):
        needed = {name for block in walk.blocks[number:] for name in block.inputs}
        assert needed.issuperset(walk.values)


def test_an_unknown_operator_is_one_clear_error() -> None:
    model = make_tiny_network()
    for node in model.graph.node:
        if node.output[0] == "merge/Relu":
            node.op_type = "Softplus"

    with pytest.raises(CalibrationError, match=r"merge/Relu is a Softplus; expected one of"):
        start_walk(make_source(model), EVERYWHERE, FRAMES, Budget())


def test_a_network_without_quantized_convolutions_is_refused() -> None:
    node = helper.make_node("Relu", ["frames"], ["y"])
    types = (TensorProto.FLOAT, (1, 2, 3, 4))
    model = make_model([node], {"frames": types}, {"y": types})

    with pytest.raises(CalibrationError, match="may run in INT8"):
        start_walk(make_source(model), EVERYWHERE, FRAMES, Budget())
