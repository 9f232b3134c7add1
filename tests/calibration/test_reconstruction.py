"""A reconstructed network is nearer to the float one, and everything stays on its grid."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.adaptive_rounding import TuningOptions
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import EVERYWHERE, Placement, compile_exclude, plan_quantization
from calibration.reconstruction import ReconstructionOptions, reconstruct
from calibration.weights import Granularity, WeightOptions
from tests.calibration.tiny_network import make_tiny_network
from tests.calibration.tiny_source import FRAMES, heat_error, make_source

TUNE = ReconstructionOptions(TuningOptions(iterations=40, cells=1024, weight_rate=0.05))


@pytest.fixture(scope="module", params=[Granularity.PER_CHANNEL, Granularity.PER_TENSOR])
def pair(request: pytest.FixtureRequest) -> tuple[Quantizable, Quantizable]:
    """A source and its reconstruction."""
    source = make_source(weights=WeightOptions(request.param))
    return source, reconstruct(source, EVERYWHERE, FRAMES, TUNE)


def test_the_heat_comes_nearer_than_by_biases_alone(pair: tuple[Quantizable, Quantizable]) -> None:
    source, tuned = pair
    corrected = reconstruct(source, EVERYWHERE, FRAMES, ReconstructionOptions())

    assert heat_error(tuned) < heat_error(corrected) < heat_error(source)


def test_weights_keep_their_scales_and_range(pair: tuple[Quantizable, Quantizable]) -> None:
    source, tuned = pair
    plan = plan_quantization(source.model, EVERYWHERE)
    assert tuned.weights.keys() == plan.convolutions
    constants = {t.name: t for t in quantize_model(source, EVERYWHERE).model.graph.initializer}
    moved = 0
    for name, weights in tuned.weights.items():
        nearest = np.frombuffer(constants[f"{name}/weight/quantized"].raw_data, np.int8)
        scales = np.frombuffer(constants[f"{name}/weight/scale"].raw_data, np.float32)
        np.testing.assert_array_equal(weights.scales.ravel(), scales)
        assert weights.values.dtype == np.int8
        assert weights.values.min() >= -127
        moved += int((weights.values.ravel() != nearest).sum())
    assert moved > 0


def test_tensors_that_share_a_scale_still_do(pair: tuple[Quantizable, Quantizable]) -> None:
    source, tuned = pair
    model, plan = quantize_model(tuned, EVERYWHERE)
    scales = {t.name: t for t in model.graph.initializer}
    shared = [(name, grid) for name, grid in plan.grid_of.items() if name in plan.readers]

    assert shared
    for name, grid in shared:
        if grid in plan.readers:
            assert scales[f"{name}/scale"].raw_data == scales[f"{grid}/scale"].raw_data
    assert tuned.ranges.thresholds != source.ranges.thresholds


def test_the_same_seed_gives_the_same_network() -> None:
    short = ReconstructionOptions(TuningOptions(iterations=3))
    models = [
        quantize_model(reconstruct(make_source(), EVERYWHERE, FRAMES, short), EVERYWHERE).model
        for _ in range(2)
    ]

    assert models[0].SerializeToString() == models[1].SerializeToString()


def test_every_step_is_announced_and_reported() -> None:
    totals: list[int] = []
    steps: list[int] = []

    def begin(total: int) -> object:
        totals.append(total)
        return lambda: steps.append(1)

    options = ReconstructionOptions(TuningOptions(iterations=2))
    reconstruct(make_source(), EVERYWHERE, FRAMES[:1], options, begin)  # type: ignore[arg-type]

    assert totals == [len(steps)]


def test_convolutions_that_stay_float_have_no_integers() -> None:
    placement = Placement(compile_exclude("^block"))
    source = make_source()

    tuned = reconstruct(source, placement, FRAMES[:2], ReconstructionOptions())

    assert "block.0/Conv" not in tuned.weights
    assert "join.0/Conv" in tuned.weights


def test_weights_that_two_convolutions_share_are_tuned_apart() -> None:
    model = make_tiny_network()
    for node in model.graph.node:
        if node.output[0] == "join.1/Conv":
            node.input[1], node.input[2] = "join.0.weight", "join.0.bias"
    source = make_source(model)

    tuned = reconstruct(source, EVERYWHERE, FRAMES, TUNE)

    first, second = (tuned.weights[f"join.{i}/Conv"].values for i in range(2))
    assert not np.array_equal(first, second)
