"""Pictures of every kind, and the letterbox pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.errors import SourceError
from runtime.geometry import Letterbox
from runtime.preprocess import bgr8_from_image, letterbox_image


def test_a_bgr_picture_is_passed_on_without_copying() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    assert bgr8_from_image(image, "x") is image


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_grey_gets_three_equal_channels(shape: tuple[int, ...]) -> None:
    image = np.arange(6, dtype=np.uint8).reshape(shape)
    got = bgr8_from_image(image, "x")
    assert got.shape == (2, 3, 3)
    np.testing.assert_array_equal(got, np.repeat(image.reshape(2, 3, 1), 3, axis=2))


def test_alpha_is_dropped_and_the_order_of_colours_kept() -> None:
    image = np.zeros((1, 1, 4), np.uint8)
    image[0, 0] = 1, 2, 3, 4
    np.testing.assert_array_equal(bgr8_from_image(image, "x")[0, 0], [1, 2, 3])


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 3)])
def test_sixteen_bits_keep_the_upper_eight(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint16)
    image[0, :] = np.uint16([0, 255, 256, 65535]).reshape(4, *[1] * (len(shape) - 2))
    assert bgr8_from_image(image, "x")[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0, 3), np.uint8),
        np.zeros((0, 0), np.uint8),
        np.zeros((2, 2, 0), np.uint8),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros((2, 2, 3), bool),
        np.zeros(4, np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{image.shape}",
)
def test_anything_else_is_refused_by_name(image: np.ndarray) -> None:
    with pytest.raises(SourceError, match=r"camera 3 delivered .*; expected .*; convert"):
        bgr8_from_image(image, "camera 3")


@pytest.mark.parametrize("image_hw", [(48, 64), (64, 48), (97, 151), (1, 1), (1, 500)])
def test_the_letterbox_is_the_resized_picture_on_black(image_hw: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(1, 255, (*image_hw, 3), np.uint8)
    letterbox = Letterbox.fit(image_hw, (64, 64))
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    wanted = np.zeros((64, 64, 3), np.uint8)
    wanted[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    np.testing.assert_array_equal(letterbox_image(image, letterbox), wanted)


def test_a_picture_of_the_networks_size_is_copied_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    got = letterbox_image(image, Letterbox.fit((64, 64), (64, 64)))
    np.testing.assert_array_equal(got, image)
    assert not np.shares_memory(got, image)


def test_a_reused_buffer_keeps_nothing_of_the_last_picture() -> None:
    out = np.full((64, 64, 3), 77, np.uint8)
    for image_hw in ((64, 64), (20, 60), (60, 20)):
        image = np.full((*image_hw, 3), 200, np.uint8)
        letterbox = Letterbox.fit(image_hw, (64, 64))
        assert letterbox_image(image, letterbox, out) is out
        np.testing.assert_array_equal(out, letterbox_image(image, letterbox))


def test_a_view_of_a_picture_is_accepted_and_not_modified() -> None:
    whole = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    before = whole.copy()
    view = whole[::2, ::-1]
    letterbox = Letterbox.fit((20, 40), (64, 64))
    np.testing.assert_array_equal(
        letterbox_image(view, letterbox), letterbox_image(view.copy(), letterbox)
    )
    np.testing.assert_array_equal(whole, before)


def test_where_a_pixel_lands_is_what_the_geometry_says() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 100:140] = 255
    letterbox = Letterbox.fit((100, 200), (128, 128))
    rows, columns = np.nonzero(letterbox_image(image, letterbox)[:, :, 0] > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(seen, letterbox.to_network([100, 40, 140, 60]), atol=0.51)


@pytest.mark.parametrize(
    ("image", "out", "message"),
    [
        (np.zeros((10, 21, 3), np.uint8), None, r"image is uint8 \(10, 21, 3\)"),
        (np.zeros((10, 20), np.uint8), None, "image is"),
        (np.zeros((10, 20, 3), np.float32), None, "image is float32"),
        (np.zeros((10, 20, 3), np.uint8), np.zeros((64, 32, 3), np.uint8), "out is"),
        (np.zeros((10, 20, 3), np.uint8), np.zeros((64, 64, 3), np.int8), "out is int8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    image: np.ndarray, out: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        letterbox_image(image, Letterbox.fit((10, 20), (64, 64)), out)
