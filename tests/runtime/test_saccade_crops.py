"""Crops against what the published code left, and where they leave the image."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.saccade_crops import CropSpan, cut_crops
from tests.runtime.saccade_golden import NETWORK_HW, read_golden

GOLDEN = read_golden()


def test_crops_of_floats_are_the_published_ones() -> None:
    image = GOLDEN["image"] / 255.0
    crops, offsets = cut_crops(image, GOLDEN["locs"], NETWORK_HW)
    np.testing.assert_array_equal(offsets, GOLDEN["offsets"], strict=True)
    patches = crops.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(patches[:, :, ::5, ::5], GOLDEN["patches_sub5"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(patches.mean((2, 3)), GOLDEN["patches_mean"], rtol=0, atol=1e-7)
    first = np.round(patches[0] * 65535) - GOLDEN["patch0_u16"]
    assert np.abs(first).max() <= 1


def test_crops_of_bytes_differ_by_less_than_a_grey_level() -> None:
    exact, _ = cut_crops(GOLDEN["image"].astype(np.float64), GOLDEN["locs"], NETWORK_HW)
    crops, offsets = cut_crops(GOLDEN["image"], GOLDEN["locs"], NETWORK_HW)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(offsets, GOLDEN["offsets"])
    difference = np.abs(crops - exact)
    assert difference.max() < 1
    assert difference.mean() < 0.15


def test_a_crop_at_scale_one_is_the_image_itself() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    crops, offsets = cut_crops(image, np.array([[20.9, 25.2, 1.0]]), (16, 16))
    np.testing.assert_array_equal(crops[0], image[12:28, 17:33])
    assert offsets.tolist() == [[12, 17]]


def test_what_lies_beyond_the_image_is_black() -> None:
    image = np.full((40, 50, 3), 9, np.uint8)
    crops, offsets = cut_crops(image, np.array([[0.0, 49.0, 1.0]]), (16, 16))
    assert offsets.tolist() == [[-8, 41]]
    assert not crops[0, :8].any()
    assert not crops[0, :, 9:].any()
    assert (crops[0, 8:, :9] == 9).all()


@pytest.mark.parametrize("place", [(-30.0, 10.0, 1.0), (10.0, 90.0, 1.0), (10.0, 10.0, 0.001)])
def test_a_crop_that_misses_the_image_is_black(place: tuple[float, ...]) -> None:
    crops, _ = cut_crops(np.full((40, 50, 3), 9, np.uint8), np.array([place]), (16, 16))
    assert crops.shape == (1, 16, 16, 3)
    assert not crops.any()


def test_a_boundless_zoom_still_shows_a_pixel() -> None:
    crops, _ = cut_crops(np.full((40, 50, 3), 9, np.uint8), np.array([[9.0, 9.0, 1e6]]), (16, 16))
    assert crops.any()


def test_no_places_give_no_crops() -> None:
    crops, offsets = cut_crops(np.zeros((4, 4, 3), np.uint8), np.zeros((0, 3)), (8, 8))
    assert crops.shape == (0, 8, 8, 3)
    assert offsets.shape == (0, 2)


def test_height_and_width_of_the_network_may_differ() -> None:
    image = np.arange(60, dtype=np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    crops, offsets = cut_crops(image, np.array([[20.0, 30.0, 1.0]]), (8, 16))
    np.testing.assert_array_equal(crops[0], image[16:24, 22:38])
    assert offsets.tolist() == [[16, 22]]


@pytest.mark.parametrize("scale", [0.3, 0.58, 1.0, 3.7, 60.0])
@pytest.mark.parametrize("centre", [-3, 0, 17, 39, 44])
def test_a_span_stays_on_image_and_canvas(scale: float, centre: int) -> None:
    span = CropSpan.place(centre, scale, 40, 255)
    if not span.is_empty:
        assert 0 <= span.image[0] < span.image[1] <= 40
        assert 0 <= span.canvas[0] < span.canvas[1] <= 255
