"""Crops around objects: sizes, places, and that boxes follow the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.saccade_augment import EMPTY_SCALES, SaccadeAugment
from detectors.saccade_targets import SaccadeTargetSpec

NETWORK_HW = (255, 255)
PLAIN = SaccadeAugment(NETWORK_HW, flip_chance=0.0, jitter=0.0, lighting=0.0)


def picture(box: tuple[int, ...], size_hw: tuple[int, int] = (400, 600)) -> np.ndarray:
    """Return grey with a white box."""
    image = np.full((*size_hw, 3), 60, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    return image


def augment(seed: int, box: tuple[int, ...], spec: SaccadeAugment = PLAIN) -> tuple:
    boxes = np.array([box], np.float64)
    return spec(np.random.default_rng(seed), picture(box), boxes)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("box", "sides"),
    [
        ((100, 100, 300, 250), (96, 255)),
        ((100, 100, 160, 190), (32, 97)),
        ((300, 50, 320, 60), (16, 33)),
    ],
)
def test_the_object_gets_a_size_of_its_own_kind(
    seed: int, box: tuple[int, ...], sides: tuple[int, int]
) -> None:
    image, boxes, kept = augment(seed, box)
    assert image.shape == (*NETWORK_HW, 3)
    assert kept.tolist() == [0]
    longer = (boxes[0, 2:] - boxes[0, :2]).max()
    assert sides[0] - 1e-6 <= longer < sides[1]


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_boxes_follow_the_pixels(seed: int, flip: float) -> None:
    spec = SaccadeAugment(NETWORK_HW, flip_chance=flip, jitter=0.0, lighting=0.0)
    image, boxes, _ = augment(seed, (100, 120, 220, 200), spec)
    rows, columns = np.nonzero(image[..., 0] > 200)
    shown = np.clip(boxes[0], 0, 255)
    got = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(got, shown, atol=2.5)


def test_every_object_of_the_image_is_followed() -> None:
    boxes = np.array([[10, 10, 60, 60], [70, 10, 120, 60], [500, 300, 590, 390]], np.float64)
    counts = set()
    for seed in range(20):
        image = picture((10, 10, 60, 60))
        _, moved, kept = PLAIN(np.random.default_rng(seed), image, boxes)
        assert len(moved) == len(kept)
        sides = (moved[:, 2:] - moved[:, :2])[:, 0] / (boxes[kept, 2] - boxes[kept, 0])
        np.testing.assert_allclose(sides, sides[0])
        counts.add(len(kept))
    assert len(counts) > 1


def test_whole_boxes_tell_how_much_is_shown() -> None:
    spec = SaccadeTargetSpec(1, NETWORK_HW, (64, 64))
    ignored = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        boxes = np.array([[100, 100, 130, 130], [80, 80, 380, 380]], np.float64)
        _, moved, kept = PLAIN(rng, picture((100, 100, 130, 130)), boxes)
        targets = spec.build(moved, np.zeros(len(kept), int))
        ignored += int((targets["tl_valid"] == 0).any())
    assert ignored > 0


@pytest.mark.parametrize("seed", range(5))
def test_an_image_without_objects_is_scaled_and_cropped(seed: int) -> None:
    empty = np.zeros((0, 4))
    image, boxes, kept = PLAIN(np.random.default_rng(seed), picture((0, 0, 0, 0)), empty)
    assert image.shape == (*NETWORK_HW, 3)
    assert boxes.shape == (0, 4)
    assert kept.tolist() == []
    assert max(EMPTY_SCALES) == 1.0


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 900), (255, 255)])
def test_images_of_any_size_are_taken(size_hw: tuple[int, int]) -> None:
    image = np.full((*size_hw, 3), 99, np.uint8)
    box = np.array([[0, 0, size_hw[1], size_hw[0]]], np.float64)
    got, boxes, _ = PLAIN(np.random.default_rng(0), image, box)
    assert got.shape == (*NETWORK_HW, 3)
    assert np.isfinite(boxes).all()


def test_the_same_seed_gives_the_same_and_modifies_nothing() -> None:
    spec = SaccadeAugment(NETWORK_HW)
    image, boxes = picture((100, 100, 160, 190)), np.array([[100, 100, 160, 190.0]])
    before = image.copy(), boxes.copy()
    one, other = (spec(np.random.default_rng(7), image, boxes) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(boxes, before[1])
