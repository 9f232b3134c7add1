"""Augmentation: pixels and boxes must move together."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.augment import AugmentSpec, ZoomAugment, augment

STILL = AugmentSpec((64, 64), zoom_chance=0.0, light=0.0)


def bright_box(image: np.ndarray) -> list[int]:
    """Return the extents of bright pixels as x1 y1 x2 y2."""
    rows, columns = np.nonzero(image[..., 0] > 128)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def picture(height: int = 64, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    image = np.zeros((height, width, 3), np.uint8)
    image[10:30, 5:25] = 255
    return image, np.array([[5.0, 10, 25, 30]])


@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_the_pixels_through_flips_and_shifts(seed):
    image, boxes = picture(48, 64)
    spec = AugmentSpec((64, 64), zoom_chance=0.0, vertical_flip=True, light=0.0)
    result, moved, kept = augment(np.random.default_rng(seed), image, boxes, spec)
    assert result.shape == (64, 64, 3) and result.dtype == np.uint8
    assert kept.tolist() == [0] and moved[0].tolist() == bright_box(result)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_the_pixels_through_zoom(seed):
    image, boxes = picture()
    spec = AugmentSpec((64, 64), zoom=(0.7, 1.5), zoom_chance=1.0, light=0.0)
    result, moved, kept = augment(np.random.default_rng(seed), image, boxes, spec)
    if kept.size:
        assert moved[0] == pytest.approx(bright_box(result), abs=1.0)


def test_flips_happen_about_half_the_time_and_vertical_ones_only_on_request():
    image, boxes = picture()
    upright, flipped = 0, 0
    for seed in range(60):
        _, moved, _ = augment(np.random.default_rng(seed), image, boxes, STILL)
        upright += moved[0, 1] == 10
        flipped += moved[0, 0] == 64 - 25
    assert upright == 60 and 15 < flipped < 45


def test_the_same_seed_gives_the_same_result():
    image, boxes = picture()
    spec = AugmentSpec((64, 64))
    first, again = (augment(np.random.default_rng(5), image, boxes, spec) for _ in range(2))
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()


def test_the_callable_changes_an_image_as_the_function_does():
    image, boxes = picture()
    spec = AugmentSpec((48, 64))
    results = (
        ZoomAugment(spec)(np.random.default_rng(5), image, boxes),
        augment(np.random.default_rng(5), image, boxes, spec),
    )
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)


def test_boxes_that_leave_the_picture_are_dropped():
    image, _ = picture()
    boxes = np.array([[0.0, 0, 4, 4], [5, 10, 25, 30]])  # the first is below the smallest side
    _, moved, kept = augment(np.random.default_rng(0), image, boxes, STILL)
    assert kept.tolist() == [1] and moved.shape == (1, 4)


def test_an_image_without_boxes_stays_without():
    image, _ = picture()
    _, moved, kept = augment(np.random.default_rng(0), image, np.zeros((0, 4)), STILL)
    assert moved.shape == (0, 4) and kept.shape == (0,)


def test_light_changes_brightness_only():
    image, boxes = picture()
    spec = AugmentSpec((64, 64), zoom_chance=0.0, light=0.3)
    results = [augment(np.random.default_rng(s), image, boxes, spec)[0] for s in range(8)]
    assert len({int(result[32, 32].sum()) for result in results}) > 1
    for result in results:
        assert len(np.unique(result.reshape(-1, 3), axis=0)) <= 2
