"""Matching by hand-made cases: what finds an object, what is wrong, what does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.report_matching import (
    Truth,
    best_scores,
    detections_by_image,
    find_objects,
    match_boxes,
    truths_of,
)
from detectors.dataset import read_coco
from tests.calibration.report_sets import detections_of, example_of
from tests.detectors.coco_files import annotation, write_coco

BOX, NEAR, HALF, FAR = (0, 0, 10, 10), (0, 0, 10, 9), (0, 0, 10, 5), (30, 30, 40, 40)


def truth_of(boxes, class_ids, crowds=(), crowd_ids=()):
    crowd_boxes = np.array(crowds, np.float64).reshape(-1, 4)
    return Truth(example_of(boxes, class_ids), crowd_boxes, np.array(crowd_ids, np.int64))


def found(truth, *rows):
    result = find_objects(truth, detections_of(*rows))
    return set(result.objects), result.false


def test_a_box_of_the_same_class_finds_its_object():
    assert found(truth_of([BOX, FAR], [0, 1]), (NEAR, 0.9, 0)) == ({0}, ())


def test_another_class_is_wrong():
    assert found(truth_of([BOX], [0]), (BOX, 0.9, 1)) == (set(), (0,))


def test_an_overlap_of_exactly_one_half_is_enough():
    assert found(truth_of([BOX], [0]), (HALF, 0.9, 0)) == ({0}, ())
    assert found(truth_of([BOX], [0]), ((0, 0, 10, 4.9), 0.9, 0)) == (set(), (0,))


def test_an_object_is_found_once_and_the_best_score_chooses_first():
    rows = ((HALF, 0.9, 0), (BOX, 0.8, 0))
    assert found(truth_of([BOX], [0]), *rows) == ({0}, (1,))


def test_of_two_objects_the_one_that_overlaps_more_is_found():
    truth = truth_of([(0, 0, 10, 8), BOX], [0, 0])
    assert found(truth, (BOX, 0.9, 0)) == ({1}, ())


def test_inside_a_crowd_of_its_class_nothing_is_wrong():
    crowd = ([(25, 25, 60, 60)], [0])
    assert found(truth_of([BOX], [0], *crowd), (FAR, 0.9, 0)) == (set(), ())
    assert found(truth_of([BOX], [0], *crowd), (FAR, 0.9, 1)) == (set(), (0,))
    assert found(truth_of([BOX], [0], *crowd), ((0, 30, 30, 40), 0.9, 0)) == (set(), (0,))


def test_no_objects_and_no_detections():
    assert found(truth_of([], [])) == (set(), ())
    assert found(truth_of([], []), (BOX, 0.9, 0)) == (set(), (0,))
    assert found(truth_of([BOX], [0])) == (set(), ())


def test_weights_keep_a_strong_box_from_a_weak_one_beside_it():
    boxes, others = np.float64([BOX]), np.float64([BOX, NEAR])
    ids, other_ids = np.zeros(1, int), np.zeros(2, int)
    assert match_boxes(boxes, ids, others, other_ids) == {0: 0}
    assert match_boxes(boxes, ids, others, other_ids, np.array([0.01, 0.7])) == {0: 1}


def test_a_weight_cannot_make_up_for_a_small_overlap():
    boxes, others = np.float64([BOX]), np.float64([NEAR, FAR])
    assert match_boxes(boxes, np.zeros(1), others, np.zeros(2), np.array([0.0, 9.0])) == {0: 0}


def test_scores_of_objects_are_0_where_there_is_no_detection():
    scores = best_scores(example_of([BOX, FAR], [0, 0]), detections_of((NEAR, 0.25, 0)))
    assert scores.tolist() == [0.25, 0.0]


def test_rows_become_detections_of_each_image_best_first(tmp_path: Path):
    coco = read_coco(write_coco(tmp_path, [annotation()]))
    rows = [
        {"image_id": 11, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.2},
        {"image_id": 11, "category_id": 3, "bbox": [0, 0, 5, 5], "score": 0.7},
    ]
    (only,) = detections_by_image(coco, rows).values()
    assert only.class_ids.tolist() == [0, 1]
    assert only.boxes_xyxy.tolist() == [[0, 0, 5, 5], [1, 2, 4, 6]]


def test_crowds_are_kept_apart_from_objects(tmp_path: Path):
    annotations = [annotation(), annotation(category_id=7, iscrowd=1)]
    first, second = truths_of(read_coco(write_coco(tmp_path, annotations)).examples)
    assert len(first.example.class_ids) == 1 and first.crowd_class_ids.tolist() == [1]
    assert len(second.crowd_class_ids) == 0
