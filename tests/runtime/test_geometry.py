"""The letterbox, by hand and as an exact inverse."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.errors import UsageError
from runtime.geometry import Letterbox


@pytest.mark.parametrize(
    ("image_hw", "network_hw", "resized_hw", "offset_yx"),
    [
        ((480, 640), (256, 256), (192, 256), (32, 0)),  # wide: bars above and below
        ((640, 480), (256, 256), (256, 192), (0, 32)),  # tall: bars left and right
        ((256, 256), (256, 256), (256, 256), (0, 0)),  # fits: nothing changes
        ((100, 100), (511, 511), (511, 511), (0, 0)),  # grows
        ((1, 1), (256, 256), (256, 256), (0, 0)),
        ((1, 10_000), (64, 64), (1, 64), (31, 0)),  # a line never vanishes
        ((3, 7), (5, 5), (2, 5), (1, 0)),  # rounding: 3 * 5/7 = 2.14; the odd row goes below
    ],
)
def test_a_table_worked_by_hand(image_hw, network_hw, resized_hw, offset_yx) -> None:
    letterbox = Letterbox.fit(image_hw, network_hw)
    assert letterbox.resized_hw == resized_hw
    assert letterbox.offset_yx == offset_yx


def test_a_box_by_hand() -> None:
    letterbox = Letterbox.fit((480, 640), (256, 256))  # scale 0.4, 32 rows above
    np.testing.assert_allclose(letterbox.to_network([10, 20, 110, 220]), [4, 40, 44, 120])
    np.testing.assert_allclose(letterbox.to_image([4, 40, 44, 120]), [10, 20, 110, 220])


def test_the_whole_image_fills_its_place() -> None:
    letterbox = Letterbox.fit((97, 151), (256, 256))
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    corners = letterbox.to_network([0, 0, 151, 97])
    np.testing.assert_allclose(corners, [left, top, left + width, top + height])


@pytest.mark.parametrize("image_hw", [(480, 640), (97, 151), (1, 1), (1080, 1920), (31, 5)])
@pytest.mark.parametrize("network_hw", [(256, 256), (511, 511), (127, 255)])
def test_back_and_forth_gives_the_same_box(image_hw, network_hw) -> None:
    letterbox = Letterbox.fit(image_hw, network_hw)
    generator = np.random.default_rng(0)
    corners = np.sort(generator.random((20, 2, 2)), axis=1).reshape(20, 4)
    boxes = corners * [image_hw[1], image_hw[0], image_hw[1], image_hw[0]]
    np.testing.assert_allclose(letterbox.to_image(letterbox.to_network(boxes)), boxes, atol=1e-4)


def test_boxes_in_the_border_are_clipped_to_the_image() -> None:
    letterbox = Letterbox.fit((480, 640), (256, 256))
    got = letterbox.to_image(np.float32([[-50, 0, 300, 255]]))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[0, 0, 640, 480]])


def test_inputs_are_not_modified() -> None:
    boxes = np.ones((2, 4), np.float32)
    Letterbox.fit((10, 20), (30, 30)).to_image(boxes)
    np.testing.assert_array_equal(boxes, 1)


@pytest.mark.parametrize("sizes", [((0, 5), (8, 8)), ((5, 0), (8, 8)), ((5, 5), (0, 8))])
def test_empty_sizes_are_refused(sizes) -> None:
    with pytest.raises(UsageError, match="at least 1 pixel"):
        Letterbox.fit(*sizes)
