"""COCO's figures: known answers, and equality with pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detectors.average_precision import coco_rows, score_rows, truth_of
from detectors.dataset import CocoSet, read_coco
from runtime.detections import Detections

SIDE = 256
CATEGORIES = {3: "cup", 7: "pen", 9: "key"}  # with gaps, as in COCO


def write_set(folder: Path, boxes: list[dict[str, Any]], images: int) -> CocoSet:
    """Write black images, and annotations given by image, category and bbox."""
    (folder / "images").mkdir()
    records = []
    for number in range(images):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.zeros((SIDE, SIDE), np.uint8))
        records.append(
            {"id": 10 + number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE}
        )
    annotations = [{"id": index, "iscrowd": 0} | box for index, box in enumerate(boxes, start=5)]
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
    body = {"images": records, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(body))
    return read_coco(folder)


def annotation(image: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox} | more


def result(image: int, category: int, bbox: list[float], score: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


@pytest.fixture(name="small")
def two_images(tmp_path: Path) -> CocoSet:
    """One cup on each image, 20 x 20 and 50 x 50 pixels, and a pen on the second."""
    boxes = [
        annotation(10, 3, [10, 10, 20, 20]),
        annotation(11, 3, [60, 60, 50, 50]),
        annotation(11, 7, [150, 150, 40, 40]),
    ]
    return write_set(tmp_path, boxes, images=2)


def test_half_of_a_class_found_is_an_average_precision_of_a_half(small: CocoSet) -> None:
    scores = score_rows(small, [result(11, 3, [60, 60, 50, 50], 0.9)], small.examples)
    cup, pen, key = scores.per_class
    assert cup.ap == pytest.approx(51 / 101, abs=1e-5)  # recall 0 to 0.50 of 101 steps
    assert (cup.objects, pen.ap, pen.objects) == (2, 0.0, 1)
    assert (key.name, key.ap, key.ap50, key.objects) == ("key", -1.0, -1.0, 0)
    assert scores.precision.ap == pytest.approx(51 / 202, abs=1e-5)  # cup and pen; no key exists
    assert scores.precision.ap_small == 0.0
    assert scores.precision.ap_medium == pytest.approx(0.5)  # the cup of 50 x 50, not the pen
    assert scores.precision.ap_large == -1.0
    assert (scores.recall.ar_1, scores.recall.ar_100, scores.recall.ar_medium) == (0.25, 0.25, 0.5)


def test_overlap_decides_which_thresholds_count(small: CocoSet) -> None:
    """40 of 50 columns of a box without more are an overlap of 0.8."""
    rows = [result(11, 3, [60, 60, 40, 50], 0.9)]
    scores = score_rows(small, rows, small.examples[1:])
    assert scores.per_class[0].ap50 == 1.0
    assert scores.per_class[0].ap == pytest.approx(0.7)  # 0.50 to 0.80 of ten thresholds
    assert scores.precision.images == 1


def test_nothing_found_is_zero(small: CocoSet) -> None:
    scores = score_rows(small, [], small.examples)
    assert (scores.precision.ap, scores.recall.ar_100) == (0.0, 0.0)
    assert scores.precision.ap_large == -1.0


def test_given_rows_are_not_changed(small: CocoSet) -> None:
    row = result(11, 3, [60, 60, 50, 50], 0.9)
    before = dict(row)
    score_rows(small, [row], small.examples)
    assert row == before


def test_crowds_are_regions_in_which_nothing_counts(tmp_path: Path) -> None:
    boxes = [
        annotation(10, 3, [10, 10, 20, 20]),
        annotation(10, 3, [100, 100, 100, 100], iscrowd=1),
    ]
    coco = write_set(tmp_path, boxes, images=1)
    right, inside = result(10, 3, [10, 10, 20, 20], 0.5), result(10, 3, [120, 120, 30, 30], 0.9)
    scores = score_rows(coco, [inside, right], coco.examples)
    assert scores.precision.ap == 1.0
    assert scores.per_class[0].objects == 1
    outside = result(10, 3, [10, 200, 30, 30], 0.9)
    assert score_rows(coco, [outside, right], coco.examples).precision.ap == pytest.approx(0.5)


def test_an_object_that_the_data_set_left_out_is_not_asked_for(tmp_path: Path) -> None:
    boxes = [
        annotation(10, 3, [10, 10, 20, 20]),
        annotation(10, 3, [50, 50, 0, 20]),
        annotation(10, 99, [90, 90, 20, 20]),
    ]
    coco = write_set(tmp_path, boxes, images=1)
    rows = [result(10, 3, [10, 10, 20, 20], 0.5)]
    assert score_rows(coco, rows, coco.examples).precision.ap == 1.0


def test_the_area_of_an_outline_decides_the_size(tmp_path: Path) -> None:
    coco = write_set(tmp_path, [annotation(10, 3, [10, 10, 100, 100], area=500.0)], images=1)
    scores = score_rows(coco, [result(10, 3, [10, 10, 100, 100], 0.5)], coco.examples)
    assert (scores.precision.ap_small, scores.precision.ap_large) == (1.0, -1.0)


def test_rows_use_coco_categories_and_width_height(small: CocoSet) -> None:
    found = Detections(np.float32([[1, 2, 11, 22]]), np.float32([0.5]), np.int32([2]))
    (row,) = coco_rows(small.examples[0], found, small.category_ids)
    assert row == {"image_id": 10, "category_id": 9, "bbox": [1, 2, 10, 20], "score": 0.5}


def draw_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw boxes x, y, width, height of all three sizes, inside the image."""
    sides = np.exp(rng.uniform(np.log(6), np.log(150), (count, 2)))
    return np.column_stack([rng.uniform(0, 1, (count, 2)) * (SIDE - sides), sides])


def random_set(folder: Path, seed: int) -> tuple[CocoSet, list[dict[str, Any]]]:
    """Return a set with crowds and outlines, and detections near and far from its objects."""
    rng = np.random.default_rng(seed)
    numbers, boxes, rows = list(CATEGORIES), [], []
    for image in range(10, 22):
        for bbox in draw_boxes(rng, int(rng.integers(0, 9))):
            category = int(rng.choice(numbers))
            more = {"iscrowd": int(rng.random() < 0.1), "area": float(0.7 * bbox[2] * bbox[3])}
            boxes.append(annotation(image, category, bbox.tolist(), **more))
            for _ in range(int(rng.integers(0, 4))):
                near = (bbox + rng.normal(0, 4, 4)).clip(1)
                rows.append(result(image, category, near.tolist(), float(rng.random())))
        for bbox in draw_boxes(rng, 6):
            category = int(rng.choice(numbers))
            rows.append(result(image, category, bbox.tolist(), float(rng.random())))
    return write_set(folder, boxes, images=12), rows


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_pycocotools(tmp_path: Path, seed: int) -> None:
    coco, rows = random_set(tmp_path, seed)
    scores = score_rows(coco, rows, coco.examples)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = truth_of(coco, coco.examples)
        truth.createIndex()
        scoring = COCOeval(truth, truth.loadRes([dict(row) for row in rows]), "bbox")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    precision, recall = (list(vars(part).values()) for part in (scores.precision, scores.recall))
    ours = [*precision[:6], *recall]
    np.testing.assert_allclose(ours, scoring.stats, atol=1e-5)
    assert 0.05 < scores.precision.ap < 0.95
    by_class = scoring.eval["precision"][:, :, :, 0, -1]
    for index, entry in enumerate(scores.per_class):
        assert entry.ap == pytest.approx(by_class[:, :, index].mean(), abs=1e-5)
