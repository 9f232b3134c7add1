"""The affine picture of published CenterNets.

The golden data has no pictures of CenterNet, so the warp is compared with the steps that the
release documents in code: three points, solved, warped; and with interpolation by hand.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detectors.centernet_preprocess import AffineView, warp_image
from runtime.errors import UsageError

SIZES = [(480, 640), (640, 427), (333, 500), (17, 23), (512, 512), (1, 1), (1080, 1920)]


def noise(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)


@pytest.mark.parametrize("size_hw", SIZES)
def test_the_longer_side_fills_the_network_and_the_centre_stays(size_hw: tuple[int, int]) -> None:
    view = AffineView(size_hw, (512, 512))
    height, width = size_hw
    scale = 512 / max(size_hw)
    want = [[scale, 0, 256 - scale * width / 2], [0, scale, 256 - scale * height / 2]]
    np.testing.assert_allclose(view.matrix, want, rtol=1e-6, atol=1e-4)
    assert view.scale == pytest.approx(scale)


def test_the_original_points_of_a_picture_by_hand() -> None:
    # 640x480: centre (320, 240), size 640: the point above it is (320, -80), the third (0, -80).
    source = np.float32([[320, 240], [320, -80], [0, -80]])
    target = np.float32([[256, 256], [256, 0], [0, 0]])
    matrix = cv2.getAffineTransform(source, target)
    assert np.array_equal(AffineView((480, 640), (512, 512)).matrix, matrix)
    image = noise((480, 640))
    want = cv2.warpAffine(image, matrix, (512, 512), flags=cv2.INTER_LINEAR)
    assert np.array_equal(warp_image(image, (512, 512))[0], want)


def test_pixels_are_mapped_by_their_index() -> None:
    image = noise((8, 8))
    enlarged, _ = warp_image(image, (16, 16))
    # Index 2 i shows pixel i itself; a resize would show a mixture everywhere.
    assert np.array_equal(enlarged[:15:2, :15:2], image)
    middle = (image[:, :-1].astype(int) + image[:, 1:]) / 2
    assert np.abs(enlarged[:15:2, 1:15:2] - middle).max() <= 0.5


def test_black_surrounds_the_image() -> None:
    warped, _ = warp_image(np.full((100, 200, 3), 255, np.uint8), (512, 512))
    assert warped.shape == (512, 512, 3) and warped.dtype == np.uint8
    assert not warped[:125].any() and not warped[387:].any()
    assert (warped[135:375, 5:500] == 255).all()


def test_the_image_is_not_changed() -> None:
    image = noise((30, 40))
    before = image.copy()
    warp_image(image, (64, 64))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize("network_hw", [(512, 512), (256, 512), (384, 128)])
def test_boxes_return_to_where_they_were(
    size_hw: tuple[int, int], network_hw: tuple[int, int]
) -> None:
    view = AffineView(size_hw, network_hw)
    boxes = np.array([[0.0, 0.0, size_hw[1], size_hw[0]], [1.5, -2.0, 3.25, 7.0]])
    points = boxes.reshape(-1, 2) @ view.matrix[:, :2].T + view.matrix[:, 2]
    np.testing.assert_allclose(view.to_image(points.reshape(-1, 4)), boxes, rtol=0, atol=1e-3)


def test_no_boxes_stay_no_boxes() -> None:
    assert AffineView((4, 4), (8, 8)).to_image(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("image_hw", "network_hw"), [((0, 5), (512, 512)), ((5, 5), (512, 0)), ((-1, 2), (8, 8))]
)
def test_sizes_below_one_are_refused(
    image_hw: tuple[int, int], network_hw: tuple[int, int]
) -> None:
    with pytest.raises(UsageError, match="expected sizes of at least 1 pixel"):
        AffineView(image_hw, network_hw)
