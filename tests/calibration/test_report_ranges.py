"""Ranges: what is clipped, how coarse it is, and which tensor comes first."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.report_ranges import BARS, thresholds_of, view_ranges
from export.int8_on_cpu import RANGES_KEY
from runtime.errors import CalibrationError
from tests.builders import tiny_model
from tests.calibration.report_sets import observation_of


def view_of(values, threshold):
    (view,) = view_ranges(observation_of({"x": values}).histograms, {"x": threshold})
    return view


def test_the_clipped_share_is_what_lies_above_the_threshold():
    values = np.concatenate([np.full(75, 0.5), np.full(25, 3.0)])
    view = view_of(values, 1.0)
    assert view.clipped == 0.25 and view.peak == view.limit == 3.0
    assert view.counts.sum() == 100 and len(view.counts) == BARS
    assert view_of(values, 3.0).clipped == 0  # min-max
    assert view_of(values, 3.1).clipped == 0 and view_of(values, 6.0).limit == 6.0


def test_the_noise_is_that_of_rounding():
    values = np.random.default_rng(0).uniform(0, 1, 100_000)
    # Power of values uniform in [0, 1] over that of rounding them to steps of 1/127.
    expected = 10 * np.log10((1 / 3) / ((1 / 127) ** 2 / 12))
    assert view_of(values, 1.0).sqnr_db == pytest.approx(expected, abs=0.1)
    assert view_of(values, 0.5).sqnr_db < 10 < view_of(values, 4.0).sqnr_db < expected


def test_zeros_have_no_noise():
    assert view_of(np.zeros(5), 1.0).sqnr_db == np.inf


def test_the_noisiest_comes_first_and_unshared_tensors_are_left_out():
    values = np.random.default_rng(0).uniform(0, 1, 1000)
    histograms = observation_of({"a": values, "b": values, "c": values}).histograms
    views = view_ranges(histograms, {"a": 1.0, "b": 0.3, "z": 1.0})
    assert [view.tensor for view in views] == ["b", "a"]


def test_ranges_of_another_model_are_refused():
    with pytest.raises(CalibrationError, match=r"1 tensors, none of which.*--ranges"):
        view_ranges(observation_of({"a": np.ones(3)}).histograms, {"b": 1.0})


def test_thresholds_are_read_from_the_model():
    model = tiny_model()
    assert thresholds_of(model) == {}
    model.metadata_props.add(key=RANGES_KEY, value='{"a": 1.5}')
    assert thresholds_of(model) == {"a": 1.5}
