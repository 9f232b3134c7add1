"""Which boxes of an example are right, and which examples are chosen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import benchmarks.experiments_pictures as pictures
from benchmarks.experiments_budget import QUICK, draw_sets
from benchmarks.experiments_decoding import Candidate
from benchmarks.experiments_pictures import compare, pair_examples
from detectors.dataset import Example
from runtime.detections import Detections


def detections(*boxes: tuple[float, ...], class_id: int = 1) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.full(len(boxes), class_id, np.int32),
    )


def two_objects() -> Example:
    boxes = np.array([[0, 0, 20, 20], [40, 40, 60, 60]], np.float64)
    return Example(1, Path("a.jpg"), (64, 64), boxes, np.array([1, 1]))


def test_boxes_on_an_object_across_two_and_elsewhere():
    found = detections((1, 1, 20, 20), (0, 0, 60, 60), (0, 30, 10, 50))
    paired = compare(found, two_objects())
    assert paired.finds.tolist() == [True, False, False]
    assert paired.is_wrong.tolist() == [False, True, False]


def test_a_box_of_another_class_finds_nothing():
    assert not compare(detections((0, 0, 20, 20), class_id=2), two_objects()).finds.any()


def test_nothing_found():
    assert compare(Detections.empty(), two_objects()).finds.shape == (0,)


def test_the_images_with_most_prevented_wrong_pairs_come_first(tmp_path, monkeypatch):
    coco = draw_sets(QUICK, tmp_path).all_sizes.crowded
    places = iter(range(len(coco.examples)))

    def predictor(candidate: Candidate, threshold: float):
        """By embedding nothing; by score alone one wrong pair more from image to image."""

        def predict(image: np.ndarray) -> Detections:
            if threshold < math.inf:
                return Detections.empty()
            return detections(*[(0, 0, 60, 60)] * next(places))

        return predict

    monkeypatch.setattr(pictures, "predictor_with_threshold", predictor)
    monkeypatch.setattr(pictures, "compare", lambda found, example: compare(found, two_objects()))
    examples = pair_examples(Candidate(nn.Identity(), "cornernet-nano", (64, 64)), coco, 2)
    assert [len(example.by_score.found) for example in examples] == [3, 2]
    assert [len(example.by_embedding.found) for example in examples] == [0, 0]


@pytest.mark.parametrize("count", [0, 9])
def test_there_are_no_more_examples_than_images(tmp_path, monkeypatch, count):
    monkeypatch.setattr(
        pictures, "predictor_with_threshold", lambda *_: lambda image: Detections.empty()
    )
    coco = draw_sets(QUICK, tmp_path).all_sizes.crowded
    candidate = Candidate(nn.Identity(), "cornernet-nano", (64, 64))
    assert len(pair_examples(candidate, coco, count)) == min(count, QUICK.validation_images)
