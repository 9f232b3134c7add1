"""Sensitivity, ranges, latency, provenance: shown where given, a sentence where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.report_extras import Latency, Loss, Sensitivity
from calibration.report_inside import (
    BLOCKS_SHOWN,
    RANGES_SHOWN,
    Ranges,
    latency,
    provenance,
    ranges,
    sensitivity,
)
from calibration.report_ranges import view_ranges
from calibration.report_subjects import read_subjects
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD, CALIBRATED, observation_of, write_model


def views(count: int):
    values = {f"{AWKWARD}{i}": np.linspace(0, i + 1, 99) for i in range(count)}
    return view_ranges(observation_of(values).histograms, dict.fromkeys(values, 1.0))


def test_sensitivity_keeps_the_order_and_folds_what_is_long():
    losses = tuple(Loss(f"{AWKWARD}{i}", 1.0 - i / 10, -0.5) for i in range(BLOCKS_SHOWN + 2))
    page = Page(sensitivity(Sensitivity("points of AP", 100, losses, losses[:1])))
    assert "Measured on 100 images, in points of AP" in page.text
    assert page.text.count(f"{AWKWARD}{BLOCKS_SHOWN + 1}") == 1
    assert "2 more blocks" in page.text and "All 1 nodes" in page.text
    assert page.text.index(f"{AWKWARD}0") < page.text.index(f"{AWKWARD}1")
    assert "\u22120.50" in page.text
    # Each column has its own scale; what is gained is negative here, thus worse.
    assert page.values("rect", "width")[:3] == ["100.0%", "100.0%", "90.0%"]
    assert page.values("svg", "class")[:2] == ["bar worse", "bar worse"]


def test_without_sensitivity_a_sentence_says_how_to_get_it():
    page = Page(sensitivity(None))
    assert "make sensitivity" in page.text and "table" not in page.tags


def test_ranges_are_drawn_and_the_rest_is_folded():
    page = Page(ranges(Ranges(CALIBRATED, views(RANGES_SHOWN + 3), images=3)))
    assert page.tags.count("svg") == RANGES_SHOWN + 3 and "3 more tensors" in page.text
    assert f"Calibration: {CALIBRATED}." in page.text
    assert "nothing clipped" in page.text
    assert "None of the 3 calibration images is among those evaluated" in page.text


def test_calibrating_on_the_evaluated_images_is_said():
    page = Page(ranges(Ranges("", views(1), images=3, evaluated_too=2)))
    assert "2 of the 3 calibration images are among those evaluated" in page.text
    assert "warning" in page.values("p", "class")


def test_without_ranges_there_is_no_chart():
    page = Page(ranges(Ranges("", absence="No histograms: none.")))
    assert "No histograms: none." in page.text and "svg" not in page.tags
    assert "not noted" in page.text


def test_latency():
    entries = [
        Latency(f"a {AWKWARD}", 12.25, (12.0, 13.0), "here", True),
        Latency("b", 1.0, None, "there", False),
    ]
    page = Page(latency(entries))
    assert f"a {AWKWARD} 12.25 12.00 to 13.00 yes here" in page.text
    assert "b 1.00 no, another there" in page.text


def test_without_latency_a_sentence_says_so():
    page = Page(latency([]))
    assert "Not measured." in page.text and "table" not in page.tags


def test_provenance_lists_files_and_steps(tmp_path: Path):
    subjects = read_subjects(
        {
            "fp32": write_model(tmp_path / f"{AWKWARD}.onnx", provenance=()),
            "int8": write_model(tmp_path / "int8.onnx", "int8"),
        }
    )
    page = Page(provenance(list(subjects.values())))
    assert f"{AWKWARD}.onnx" in page.text and "FP32: its contract names no step." in page.text
    assert "1. calibrate" in page.text and CALIBRATED in page.text
    assert subjects["int8"].contract.artifact_sha256 in page.values("code", "title")
