"""Corrected biases give each convolution the mean that it has in float."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from calibration.biases import convolution_outputs, read_biases
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import EVERYWHERE, Placement, plan_quantization
from calibration.reconstruction import ReconstructionOptions, reconstruct
from calibration.weights import Granularity, WeightOptions
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network
from tests.calibration.tiny_source import FRAMES, heat_error, make_source, run_tensors

CORRECT = ReconstructionOptions()
PER_TENSOR = WeightOptions(Granularity.PER_TENSOR)


def mean_errors(source: Quantizable) -> dict[str, float]:
    """Return the largest error of a channel's mean, by convolution."""
    names = convolution_outputs(source.model.graph.node)
    expected = run_tensors(make_tiny_network(), names)
    found = run_tensors(quantize_model(source, EVERYWHERE).model, names)
    return {
        name: float(np.abs((a - b).mean(axis=(0, 2, 3))).max())
        for name, a, b in zip(names, expected, found, strict=True)
    }


@pytest.mark.parametrize("weights", [WeightOptions(), PER_TENSOR], ids=["channel", "tensor"])
def test_means_are_those_of_the_float_network(weights: WeightOptions) -> None:
    source = make_source(weights=weights)
    corrected = reconstruct(source, EVERYWHERE, FRAMES, CORRECT)

    before, after = mean_errors(source), mean_errors(corrected)

    assert max(before.values()) > 2e-3
    # Not 0: a value between two steps falls to either side in torch and ONNX Runtime.
    assert max(after.values()) < 0.1 * max(before.values())
    assert heat_error(corrected) < heat_error(source)


def test_only_biases_change() -> None:
    source = make_source()
    untouched = source.model.SerializeToString()

    corrected = reconstruct(source, EVERYWHERE, FRAMES, CORRECT)

    assert source.model.SerializeToString() == untouched
    assert corrected.ranges.thresholds == source.ranges.thresholds
    before, after = (
        {t.name: t.raw_data for t in quantize_model(s, EVERYWHERE).model.graph.initializer}
        for s in (source, corrected)
    )
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed
    assert all(name.endswith("/bias") for name in changed)


def test_a_convolution_in_float_keeps_its_float_bias() -> None:
    corrected = reconstruct(make_source(), EVERYWHERE, FRAMES, CORRECT)
    float_biases = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in make_tiny_network().graph.initializer
    }
    returned = Placement(keep_float=frozenset({"block.0/Conv"}))

    for placement, is_float in ((EVERYWHERE, False), (returned, True)):
        model, plan = quantize_model(corrected, placement)
        biases = read_biases(model, convolution_outputs(model.graph.node))
        assert ("block.0/Conv" in plan.convolutions) is not is_float
        assert np.array_equal(biases["block.0/Conv"], float_biases["block.0.bias"]) is is_float
        assert not np.array_equal(biases["block.1/Conv"], float_biases["block.1.bias"])
        for name, layer in (("stem/Conv", "stem"), ("heat", "head.1")):  # float in every plan
            np.testing.assert_array_equal(biases[name], float_biases[f"{layer}.bias"])


def test_one_convolution_alone_in_int8_shifts_nothing_elsewhere() -> None:
    source = make_source()
    corrected = reconstruct(source, EVERYWHERE, FRAMES, CORRECT)
    plan = plan_quantization(source.model, EVERYWHERE)
    alone = Placement(keep_float=plan.convolutions - {"head.0/Conv"})
    before = ["upper/Conv", "join.0/Conv"]  # upstream of all that is rounded

    expected = run_tensors(make_tiny_network(), before)
    found = run_tensors(quantize_model(corrected, alone).model, before)

    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_no_image_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no images to calibrate on"):
        reconstruct(make_source(), EVERYWHERE, [], CORRECT)
