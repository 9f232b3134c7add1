"""What INT8 loses and gains, by hand-made cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.report_comparison import (
    Comparison,
    compare_detections,
    compare_image,
    pair_scores,
)
from calibration.report_matching import Truth
from detectors.dataset import read_coco
from tests.calibration.report_sets import detections_of, example_of, rows_of_set, write_set

BOX, NEAR, FAR, ELSEWHERE = (0, 0, 10, 10), (0, 0, 10, 9), (30, 30, 40, 40), (50, 50, 60, 60)


def compare(before, after, boxes=(BOX, FAR), class_ids=(0, 1)):
    truth = Truth(example_of(boxes, class_ids), np.zeros((0, 4)), np.zeros(0, np.int64))
    return compare_image(truth, detections_of(*before), detections_of(*after))


def test_nothing_changed():
    both = [(BOX, 0.9, 0), (FAR, 0.5, 1)]
    change = compare(both, both)
    assert not (change.lost or change.gained or change.false_new or change.false_gone)
    assert change.damage == (0, 0.0)


def test_an_object_below_the_threshold_is_lost_with_its_score():
    change = compare([(BOX, 0.31, 0)], [(BOX, 0.29, 0)])
    assert change.lost == (0,) and change.gained == ()
    assert change.float_scores[0] == pytest.approx(0.31)
    assert change.int8_scores[0] == pytest.approx(0.29)
    assert change.damage == (1, pytest.approx(0.02))


def test_an_object_that_only_int8_finds_is_gained():
    change = compare([], [(FAR, 0.4, 1)])
    assert change.gained == (1,) and change.damage[0] == 0


def test_a_wrong_detection_of_both_is_not_new():
    change = compare([(ELSEWHERE, 0.5, 0)], [((50, 50, 60, 59), 0.6, 0)])
    assert not (change.false_new or change.false_gone)


def test_wrong_detections_come_and_go():
    change = compare([(ELSEWHERE, 0.5, 0)], [(BOX, 0.9, 0), (ELSEWHERE, 0.6, 1)])
    assert change.false_new == (1,) and change.false_gone == (0,)
    assert change.damage[0] == 1


def test_a_moved_box_is_lost_and_wrong_at_once():
    change = compare([(BOX, 0.9, 0)], [((6, 0, 16, 10), 0.9, 0)])
    assert change.lost == (0,) and change.false_new == (0,)
    assert change.damage[0] == 2


def test_scores_are_paired_where_either_is_large_enough():
    before = detections_of((BOX, 0.9, 0), (FAR, 0.09, 1), (ELSEWHERE, 0.02, 1))
    after = detections_of((NEAR, 0.8, 0), (FAR, 0.11, 1), (ELSEWHERE, 0.03, 1))
    pairs = pair_scores(before, after)
    assert pairs.tolist() == np.float32([[0.9, 0.8], [0.09, 0.11]]).tolist()


def test_a_detection_without_partner_is_no_pair():
    assert pair_scores(detections_of((BOX, 0.9, 0)), detections_of((BOX, 0.9, 1))).shape == (0, 2)
    assert pair_scores(detections_of(), detections_of()).shape == (0, 2)


def test_a_whole_set_is_counted(tmp_path: Path):
    folder = write_set(tmp_path / "set", images=3)
    coco = read_coco(folder)
    before, after = (rows_of_set(folder, scores) for scores in ((0.9, 0.8, 0.5), (0.9, 0.2, 0.5)))
    after = [row for row in after if row["image_id"] != 3] + before[6:]
    result = compare_detections(coco, coco.examples, before, after)
    assert result.objects == result.float_found == 9
    assert (result.count("lost"), result.count("gained"), result.count("false_new")) == (2, 0, 0)
    assert len(result.score_pairs) == 9
    assert [change.example.image_id for change in result.worst()] == [1, 2]


def test_a_model_that_finds_nothing_loses_everything(tmp_path: Path):
    folder = write_set(tmp_path / "set", images=2)
    coco = read_coco(folder)
    result = compare_detections(coco, coco.examples, rows_of_set(folder, (0.9, 0.8, 0.5)), [])
    assert result.count("lost") == 6 and result.score_pairs.shape == (0, 2)


def test_the_worst_image_comes_first():
    little = compare([(BOX, 0.31, 0)], [(BOX, 0.29, 0)])
    more = compare([(BOX, 0.9, 0)], [(BOX, 0.1, 0)])
    most = compare([(BOX, 0.9, 0), (FAR, 0.9, 1)], [])
    gained = compare([], [(FAR, 0.4, 1)])
    result = Comparison((gained, little, more, most), 2, 2, np.zeros((0, 2)))
    assert result.worst() == [most, more, little]
