"""Corrected biases give each convolution the mean that it has in float."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.biases import convolution_outputs
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import EVERYWHERE
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


def test_no_image_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no images to calibrate on"):
        reconstruct(make_source(), EVERYWHERE, [], CORRECT)
