"""Scenes: what stands where, and which boxes are true."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detectors.shapes_drawing import CLASS_NAMES, Shape
from detectors.shapes_scene import (
    MIN_VISIBLE_SIDE_PX,
    Scene,
    SceneSpec,
    add_camera_noise,
    random_scene,
    render,
)

BOX = CLASS_NAMES.index("box")
COLORS = ((250.0, 10.0, 10.0), (0.0, 0.0, 0.0))
SQUARE = Shape(BOX, (30.0, 30.0), 19.2 / 0.85, 1.0, 0.0, 0.5, "plain", COLORS, 3.0, False)


def scene_of(*shapes: Shape) -> Scene:
    return Scene(np.zeros((100, 100, 3), np.uint8), shapes)


def test_truth_of_one_square_is_exact():
    image, truth = render(scene_of(SQUARE))
    assert truth.boxes_xyxy.tolist() == [[20, 20, 40, 40]]
    assert truth.class_ids.tolist() == [BOX] and truth.areas.tolist() == [400]
    assert image[30, 30].tolist() == [250, 10, 10] and image[50, 50].tolist() == [0, 0, 0]


def test_a_covered_object_is_boxed_by_what_is_visible():
    front = dataclasses.replace(SQUARE, center_xy=(36.0, 30.0))  # hides x 26..40 of the first
    _, truth = render(scene_of(SQUARE, front))
    assert truth.boxes_xyxy.tolist() == [[26, 20, 46, 40]]  # 30% of the first is left: not asked
    _, truth = render(scene_of(SQUARE, dataclasses.replace(front, center_xy=(44.0, 30.0))))
    assert truth.boxes_xyxy.tolist() == [[20, 20, 34, 40], [34, 20, 54, 40]]


def test_an_object_cut_by_the_border_is_boxed_inside():
    _, truth = render(scene_of(dataclasses.replace(SQUARE, center_xy=(4.0, 50.0))))
    assert truth.boxes_xyxy.tolist() == [[0, 40, 14, 60]]


def test_a_tiny_object_is_drawn_but_not_asked_for():
    image, truth = render(scene_of(dataclasses.replace(SQUARE, size_px=7.0)))
    assert len(truth.class_ids) == 0 and image.any()
    assert truth.boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize("seed", range(12))
def test_every_object_of_a_random_scene_can_be_found(seed):
    scene = random_scene(np.random.default_rng(seed), SceneSpec((96, 128)))
    _, truth = render(scene)
    assert len(truth.class_ids) == len(scene.shapes) >= 1
    sides = truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]
    assert sides.min() >= MIN_VISIBLE_SIDE_PX
    assert (truth.boxes_xyxy >= 0).all() and (truth.boxes_xyxy <= [128, 96, 128, 96]).all()


def test_scenes_hold_overlapping_objects_of_the_same_class():
    crowded = 0
    for seed in range(30):
        _, truth = render(random_scene(np.random.default_rng(seed), SceneSpec((256, 256))))
        boxes, classes = truth.boxes_xyxy, truth.class_ids
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        overlap = (high > low).all(2) & (classes[:, None] == classes[None])
        crowded += bool((overlap & ~np.eye(len(boxes), dtype=bool)).any())
    assert crowded >= 10


def test_sizes_reach_from_the_smallest_to_most_of_the_image():
    longest = []
    for seed in range(60):
        _, truth = render(random_scene(np.random.default_rng(seed), SceneSpec((256, 256))))
        longest += (truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]).max(1).tolist()
    assert min(longest) < 16 and max(longest) > 0.8 * 256


def test_camera_noise_follows_its_seed_and_keeps_the_shape():
    image = np.full((30, 40, 3), 128, np.uint8)
    noisy = [add_camera_noise(np.random.default_rng(seed), image) for seed in (3, 3, 4)]
    assert noisy[0].dtype == np.uint8 and noisy[0].shape == image.shape
    assert (noisy[0] == noisy[1]).all() and (noisy[0] != noisy[2]).any()
