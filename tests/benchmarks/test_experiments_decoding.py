"""Other ways to decode the same maps, and boxes that join two objects."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.experiments_budget import QUICK, draw_sets
from benchmarks.experiments_decoding import (
    AE_THRESHOLDS,
    OFFSETS,
    Candidate,
    FixedOffsets,
    Recorder,
    offset_rows,
    pairing_rows,
    predictor_with_offsets,
    predictor_with_threshold,
    wrong_pairs,
)
from detectors.dataset import CocoSet
from runtime.contract import MAP_NAMES
from runtime.detections import Detections

SIDE = 64  # pixels; 16 cells of 4
# Two objects of class 2: cells of their corners as x, y, and their embedding.
OBJECTS = (((2, 2), (6, 6), 0.0), ((8, 8), (13, 12), 3.0))
IMAGE = np.zeros((SIDE, SIDE, 3), np.uint8)


class TwoObjects(nn.Module):
    """Sees the two objects on every image, with offset 0.25 everywhere."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        cells = SIDE // 4
        maps = {name: torch.full((1, 2, cells, cells), 0.25) for name in MAP_NAMES}
        for corner, place in (("tl", 0), ("br", 1)):
            heat = torch.full((1, 6, cells, cells), -12.0)
            tag = torch.zeros(1, 1, cells, cells)
            for entry in OBJECTS:
                x, y = entry[place]
                heat[0, 2, y, x] = 4.0
                tag[0, 0, y, x] = entry[2]
            maps |= {f"{corner}_heat": heat, f"{corner}_tag": tag}
        return maps


CANDIDATE = Candidate(TwoObjects(), "cornernet-nano", (SIDE, SIDE))


def boxes_of(found: Detections) -> set[tuple[float, ...]]:
    return {tuple(box) for box in found.above(0.3).boxes_xyxy.tolist()}


RIGHT = {(9.0, 9.0, 25.0, 25.0), (33.0, 33.0, 53.0, 49.0)}
ACROSS = (9.0, 9.0, 53.0, 49.0)  # the first object's top-left, the second's bottom-right corner


@pytest.mark.parametrize("threshold", [0.25, 0.5, 2.0, 2.99])
def test_embeddings_that_differ_more_are_no_pair(threshold):
    assert boxes_of(predictor_with_threshold(CANDIDATE, threshold)(IMAGE)) == RIGHT


@pytest.mark.parametrize("threshold", [3.0, math.inf])
def test_without_the_embeddings_every_pair_that_fits_is_a_box(threshold):
    assert boxes_of(predictor_with_threshold(CANDIDATE, threshold)(IMAGE)) == {*RIGHT, ACROSS}


@pytest.mark.parametrize(("offset", "shift_px"), [(None, 0.0), (0.5, 1.0), (0.0, -1.0)])
def test_offsets_move_both_corners(offset, shift_px):
    found = predictor_with_offsets(CANDIDATE, offset)(IMAGE)
    assert boxes_of(found) == {tuple(side + shift_px for side in box) for box in RIGHT}


def test_only_the_offsets_are_replaced():
    images = torch.zeros(1, 3, SIDE, SIDE)
    before, after = TwoObjects()(images), FixedOffsets(TwoObjects(), 0.5)(images)
    assert list(before) == list(after)
    for name in MAP_NAMES:
        expected = torch.full_like(before[name], 0.5) if "off" in name else before[name]
        assert torch.equal(after[name], expected)


def test_what_is_compared_includes_the_published_decoder():
    assert AE_THRESHOLDS["0.5"] == 0.5 and AE_THRESHOLDS["none"] == math.inf
    assert OFFSETS["predicted"] is None


TRUTH = np.array([[9, 9, 25, 25], [33, 33, 53, 49]], np.float64)


def detections(*boxes: tuple[float, ...], class_id: int = 2) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.full(count, class_id, np.int32),
    )


def test_a_box_across_two_objects_is_a_wrong_pair_and_the_objects_are_not():
    found = detections(*sorted(RIGHT), ACROSS, (12.0, 7.0, 50.0, 50.0))
    assert wrong_pairs(found, TRUTH, np.array([2, 2])).tolist() == [False, False, True, True]


def test_a_corner_that_is_off_belongs_to_nobody():
    found = detections((9, 9, 47, 42), (16, 9, 53, 49))
    assert not wrong_pairs(found, TRUTH, np.array([2, 2])).any()


def test_a_corner_belongs_to_objects_of_its_class_only():
    assert not wrong_pairs(detections(ACROSS, class_id=1), TRUTH, np.array([2, 2])).any()
    assert not wrong_pairs(detections(ACROSS), TRUTH, np.array([2, 1])).any()


def test_a_box_of_two_corners_that_some_object_has_is_right():
    nested = np.array([[9, 9, 25, 25], [33, 33, 53, 49], [9, 9, 53, 49]], np.float64)
    assert not wrong_pairs(detections(ACROSS), nested, np.array([2, 2, 2])).any()


def test_nothing_found_and_nothing_there():
    assert wrong_pairs(Detections.empty(), TRUTH, np.array([2, 2])).shape == (0,)
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
    assert wrong_pairs(detections(ACROSS), *nothing).tolist() == [False]


@pytest.fixture(name="coco", scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> CocoSet:
    return draw_sets(QUICK, tmp_path_factory.mktemp("sets")).all_sizes.crowded


def test_a_recorder_keeps_what_it_returns():
    recorder = Recorder(lambda image: detections(ACROSS))
    assert recorder(IMAGE) is recorder.found[0]


def test_rows_have_a_figure_per_threshold_and_count_what_is_shown(coco):
    rows = pairing_rows(CANDIDATE, coco)
    assert [row["ae_threshold"] for row in rows] == list(AE_THRESHOLDS)
    images = len(coco.examples)
    assert [row["shown"] for row in rows] == [2 * images] * 4 + [3 * images]
    assert all(row["images"] == images and 0 <= row["ap"] <= 1 for row in rows)


def test_rows_have_a_figure_per_offset(coco):
    rows = offset_rows(CANDIDATE, coco)
    assert [row["offsets"] for row in rows] == list(OFFSETS)
