"""The sections on detections: counts, captions and the words for what there is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.report_changes import changed_detections, describe_change, score_agreement
from calibration.report_comparison import Comparison, compare_detections
from calibration.report_pictures import draw_cases
from detectors.dataset import read_coco
from tests.calibration.pages import Page
from tests.calibration.report_sets import CLASS_NAMES, rows_of_set, write_set


def compare(folder: Path, after: list[dict[str, object]]) -> Comparison:
    coco = read_coco(folder)
    return compare_detections(coco, coco.examples, rows_of_set(folder, (0.9, 0.8, 0.5)), after)


def test_damaged_images_are_shown_with_what_happened(tmp_path: Path):
    folder = write_set(tmp_path / "set", 2)
    rows = rows_of_set(folder, (0.9, 0.25, 0.5))
    wrong = {**rows[0], "bbox": [40, 40, 20, 20], "score": 0.7}
    comparison = compare(folder, [*rows, wrong])
    cases = draw_cases(comparison.worst(), CLASS_NAMES)
    page = Page(changed_detections(comparison, cases[:1], CLASS_NAMES))
    assert page.tags.count("figure") == 1 and page.tags.count("img") == 3
    assert "1 of 2 damaged images" in page.text
    assert "found by FP32 6 found by INT8 4" in page.text
    name = f"{cases[0].change.example.path.name}"
    assert f"{name} : lost circle (FP32 0.80, INT8 0.25); new wrong {CLASS_NAMES[0]} (0.70)" in (
        page.text
    )
    assert all(name in alt for alt in page.values("img", "alt"))


def test_an_object_without_any_detection_has_no_score(tmp_path: Path):
    folder = write_set(tmp_path / "set", 1)
    (change,) = compare(folder, rows_of_set(folder, (0.9, 0.8, 0.5))[:1]).worst()
    assert describe_change(change, CLASS_NAMES) == [
        "lost circle (FP32 0.80, INT8 none)",
        f"lost {CLASS_NAMES[0]} (FP32 0.50, INT8 none)",
    ]


def test_where_nothing_is_lost_a_sentence_says_so(tmp_path: Path):
    folder = write_set(tmp_path / "set", 1)
    comparison = compare(folder, rows_of_set(folder, (0.9, 0.8, 0.5)))
    page = Page(changed_detections(comparison, [], CLASS_NAMES))
    assert "On no image was an object lost" in page.text and "figure" not in page.tags


def test_damage_that_is_not_to_be_shown(tmp_path: Path):
    page = Page(changed_detections(compare(write_set(tmp_path / "set", 2), []), [], CLASS_NAMES))
    assert "2 images are damaged; none was to be shown." in page.text


def test_scores_are_summed_up():
    pairs = np.float32([[0.5, 0.4], [0.8, 0.8], [0.3, 0.35]])
    page = Page(score_agreement(pairs))
    assert "pairs 3" in page.text and "mean \u22120.0167" in page.text
    assert "50 % lie below +0.0000" in page.text and "largest magnitude 0.1000" in page.text


def test_no_pairs_leave_a_sentence_and_no_chart():
    page = Page(score_agreement(np.zeros((0, 2), np.float32)))
    assert "No detection from score 0.1 on" in page.text and "svg" not in page.tags
