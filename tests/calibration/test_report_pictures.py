"""Pictures of damaged images: three of each, marked, and not too heavy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import report_pictures
from calibration.report_comparison import ImageChange, compare_detections
from calibration.report_pictures import MARK_BGR, draw_case, draw_cases
from detectors.dataset import read_coco
from runtime.errors import SourceError
from tests.calibration.report_sets import CLASS_NAMES, rows_of_set, write_set

# Fewer pixels than any mark has here: its sides are 100 pixels or longer, its line 3 wide.
MARKED = 800


def changes_of(folder: Path, after: tuple[float, ...]) -> list[ImageChange]:
    coco = read_coco(folder)
    before = rows_of_set(folder, (0.9, 0.8, 0.5))
    return compare_detections(coco, coco.examples, before, rows_of_set(folder, after)).worst()


def marked_pixels(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return int((np.abs(image.astype(int) - MARK_BGR).max(axis=2) < 60).sum())


def test_the_lost_object_is_marked_on_the_truth(tmp_path: Path):
    (change,) = changes_of(write_set(tmp_path / "set", 1), (0.9, 0.1, 0.5))
    case = draw_case(change, CLASS_NAMES)
    assert marked_pixels(case.truth_jpeg) > MARKED > 2 * marked_pixels(case.float_jpeg)
    pictures = (case.truth_jpeg, case.float_jpeg, case.int8_jpeg)
    sizes = {cv2.imdecode(np.frombuffer(j, np.uint8), 1).shape for j in pictures}
    assert sizes == {(360, 360, 3)}
    assert case.float_jpeg != case.int8_jpeg


def test_a_new_wrong_detection_is_marked_on_int8(tmp_path: Path):
    folder = write_set(tmp_path / "set", 1)
    coco = read_coco(folder)
    rows = rows_of_set(folder, (0.9, 0.8, 0.5))
    wrong = {**rows[0], "bbox": [40, 40, 20, 20]}
    (change,) = compare_detections(coco, coco.examples, rows, [*rows, wrong]).worst()
    case = draw_case(change, CLASS_NAMES)
    assert marked_pixels(case.int8_jpeg) > MARKED > 2 * marked_pixels(case.truth_jpeg)
    assert MARKED > 2 * marked_pixels(case.float_jpeg)


def test_pictures_stop_where_the_page_grows_too_heavy(tmp_path: Path, monkeypatch):
    changes = changes_of(write_set(tmp_path / "set", 3), (0.1, 0.1, 0.1))
    assert len(draw_cases(changes, CLASS_NAMES)) == 3
    case = draw_case(changes[0], CLASS_NAMES)
    one = len(case.truth_jpeg) + len(case.float_jpeg) + len(case.int8_jpeg)
    monkeypatch.setattr(report_pictures, "PICTURE_BYTES", int(2.5 * one))
    assert len(draw_cases(changes, CLASS_NAMES)) == 2


def test_no_damage_needs_no_picture():
    assert draw_cases([], CLASS_NAMES) == []


def test_an_image_that_went_missing(tmp_path: Path):
    folder = write_set(tmp_path / "set", 1)
    (change,) = changes_of(folder, (0.1, 0.1, 0.1))
    change.example.path.unlink()
    with pytest.raises(SourceError):
        draw_case(change, CLASS_NAMES)
