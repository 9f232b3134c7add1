"""Histograms that grow, and the pass over the samples."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from calibration.observers import BINS, MagnitudeHistogram, Progress, observe
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import run


def histogram_of(*batches: object) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


def test_counts_equal_numpys() -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    histogram = histogram_of(values.reshape(5, 10, 100))
    expected, _ = np.histogram(np.abs(values), BINS, (0, histogram.limit))
    # float32 may put a value on a border into the neighbouring bin
    assert np.abs(histogram.counts - expected).sum() <= 10
    assert histogram.counts.sum() == 5000
    assert histogram.peak == np.abs(values).max()


def test_growing_gives_what_the_large_range_would_have_given() -> None:
    small, large = [0.1, -0.3, 0.26], [5.0, -7.5]
    grown, direct = histogram_of(small, large), histogram_of(large, small)
    assert grown.limit == direct.limit == 8.0
    np.testing.assert_array_equal(grown.counts, direct.counts)


def test_memory_does_not_depend_on_the_number_of_values() -> None:
    histogram = MagnitudeHistogram()
    for size in range(1, 20):
        histogram.add(np.full(size * 100, 1.5**size, np.float32))
    assert histogram.counts.shape == (BINS,)
    assert histogram.counts.sum() == sum(size * 100 for size in range(1, 20))


def test_zeros_and_nothing() -> None:
    histogram = histogram_of(np.zeros((2, 3)), np.empty((0, 4)))
    assert (histogram.peak, histogram.limit, histogram.counts[0]) == (0.0, 0.0, 6)
    histogram.add(np.array([4.0], np.float32))
    assert histogram.counts[0] == 6 and histogram.counts[-1] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        histogram_of([1.0, bad])


def test_observe_sees_every_sample() -> None:
    model, frames, reports = make_tiny_network(), random_frames(3), []
    found = observe(model, ["block.0/Relu", "heat"], frames, 3, reports.append)
    heat = [run(model, frames=frame)[0] for frame in frames]
    assert found["heat"].peak == pytest.approx(np.abs(heat).max(), rel=1e-5)
    assert found["heat"].counts.sum() == np.size(heat)
    assert [(r.done, r.total) for r in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[-1] == Progress(3, 3, 0.0)


def test_observe_leaves_the_model_alone() -> None:
    model = make_tiny_network()
    before = model.SerializeToString()
    observe(model, ["stem/Relu"], random_frames(1), 1)
    assert model.SerializeToString() == before


def test_a_tensor_that_is_not_finite_is_named() -> None:
    model = make_tiny_network()
    for tensor in model.graph.initializer:
        if tensor.name == "stem.bias":
            broken = np.full(16, np.inf, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(broken, tensor.name))
    with pytest.raises(CalibrationError, match="stem/Relu became infinite or NaN"):
        observe(model, ["stem/Relu"], random_frames(1), 1)


def test_samples_of_a_wrong_shape_are_refused() -> None:
    sample = np.zeros((1, 8, 8, 4), np.uint8)
    with pytest.raises(CalibrationError, match="could not run the model"):
        observe(make_tiny_network(), ["heat"], [sample], 1)
