"""The published augmentation: crops worked by hand, colours against the formulas one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from detectors.augment_published import (
    EIGENVALUES,
    EIGENVECTORS_BGR,
    PublishedAugment,
    border_of,
    change_colours,
    crop_around,
    jitter_colours,
)

NO_BOXES = np.zeros((0, 4))


def plain(network_hw: tuple[int, int], **changes) -> PublishedAugment:
    """Return an augmentation that leaves colours alone."""
    return PublishedAugment(network_hw, jitter=0, lighting=0, **changes)


@pytest.mark.parametrize(
    ("size_px", "border"),
    [
        (640, 128),
        (257, 128),  # 257 - 128 = 129 > 128
        (256, 64),  # 256 - 128 is not more than 128
        (129, 64),
        (128, 32),
        (3, 1),
        (2, 0),
        (1, 0),
    ],
)
def test_the_border_is_halved_until_a_centre_exists(size_px, border):
    assert border_of(size_px) == border


def test_a_crop_by_hand():
    image = np.arange(1, 43, dtype=np.uint8).reshape(6, 7, 1).repeat(3, 2)
    crop, shift = crop_around(image, (1, 4), (4, 6))
    # Columns 1 - 3 .. 1 + 3 and rows 4 - 2 .. 4 + 2: two columns lie left of the image.
    expected = np.zeros((4, 6), np.uint8)
    expected[:, 2:] = image[2:6, :4, 0]
    assert (crop == expected[..., None]).all()
    assert shift.tolist() == [2, -2]
    assert crop[4 + shift[1], 1 + shift[0]].tolist() == image[4, 1].tolist()


def test_a_crop_of_odd_side_loses_the_last_row_and_column_as_published():
    image = np.full((9, 9, 3), 7, np.uint8)
    crop, shift = crop_around(image, (4, 4), (5, 5))
    assert (crop[:4, :4] == 7).all() and not crop[4].any() and not crop[:, 4].any()
    assert shift.tolist() == [-2, -2]


def test_a_crop_may_surround_the_whole_image():
    image = np.full((2, 3, 3), 7, np.uint8)
    crop, shift = crop_around(image, (1, 1), (10, 12))
    assert shift.tolist() == [5, 4]
    assert (crop[4:6, 5:8] == 7).all() and crop.sum() == image.sum()


def test_centres_keep_away_from_the_edges_and_reach_all_the_rest():
    image = np.zeros((300, 260, 3), np.uint8)
    image[..., 0] = np.arange(260) % 250 + 1
    image[..., 1] = np.arange(300)[:, None] % 250 + 1
    augmentation = plain((16, 16), scales=(1.0,), flip_chance=0)
    columns, rows = Counter(), Counter()
    rng = np.random.default_rng(0)
    for _ in range(2000):
        result, _, _ = augmentation(rng, image, NO_BOXES)
        x, y = int(result[8, 8, 0]) - 1, int(result[8, 8, 1]) - 1
        columns[x] += 1
        rows[y] += 1
    assert set(columns) == set(range(128, 132))  # 260 - 128 = 132, exclusive
    assert set(rows) == set(range(128, 172))
    assert min(columns.values()) > 400


def test_scales_are_drawn_evenly_from_eight():
    image = np.full((400, 400, 3), 255, np.uint8)
    augmentation = plain((100, 100), flip_chance=0)
    boxes = np.array([[190.0, 190, 210, 210]])
    sides = Counter()
    for seed in range(800):
        _, moved, kept = augmentation(np.random.default_rng(seed), image, boxes)
        if kept.size and 0 < moved[0, 0] and moved[0, 2] < 99:
            sides[round(20 / (moved[0, 2] - moved[0, 0]), 3)] += 1
    assert set(sides) == {0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3}


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("image_hw", [(240, 320), (64, 48)])
def test_a_painted_rectangle_stays_under_its_box(seed, image_hw):
    image = np.zeros((*image_hw, 3), np.uint8)
    height, width = image_hw
    box = np.array([[width * 0.4, height * 0.3, width * 0.55, height * 0.7]]).round()
    left, top, right, bottom = box[0].astype(int)
    image[top:bottom, left:right] = 255
    result, moved, kept = plain((96, 128))(np.random.default_rng(seed), image, box)
    assert result.shape == (96, 128, 3) and result.dtype == np.uint8
    painted = np.argwhere(result[..., 0] > 127)
    assert kept.tolist() == [0] * (len(painted) > 0)
    if kept.size:
        seen = [*painted.min(0)[::-1], *(painted.max(0)[::-1] + 1)]
        # Blurred edges, boxes cut at the last pixel, and the flip's pixel: up to two in all.
        assert moved[0] == pytest.approx(seen, abs=2)


def test_each_axis_has_its_own_factor_as_crops_have_whole_sides():
    image = np.zeros((64, 64, 3), np.uint8)
    boxes = np.array([[x, y, x + 2.0, y + 0.5] for x in range(0, 64, 8) for y in range(64)])
    # 0.7 of 5 x 64 pixels are 3 x 44.
    rng = np.random.default_rng(0)
    _, moved, _ = plain((5, 64), scales=(0.7,), flip_chance=0)(rng, image, boxes)
    inside = moved[(moved[:, :2] > 0).all(1) & (moved[:, 2] < 63) & (moved[:, 3] < 4)]
    assert len(inside)
    np.testing.assert_allclose(inside[:, 2] - inside[:, 0], 2 * 64 / 44)
    np.testing.assert_allclose(inside[:, 3] - inside[:, 1], 0.5 * 5 / 3)


def test_a_flip_mirrors_pixels_and_moves_boxes_as_published():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    boxes = np.array([[20.0, 20, 40, 44], [25, 30, 35, 31]])
    upright = plain((64, 64), flip_chance=0)(np.random.default_rng(3), image, boxes)
    flipped = plain((64, 64), flip_chance=1)(np.random.default_rng(3), image, boxes)
    assert (flipped[0] == upright[0][:, ::-1]).all()
    assert (flipped[2] == upright[2]).all() and len(upright[2])
    assert (flipped[1][:, [1, 3]] == upright[1][:, [1, 3]]).all()
    np.testing.assert_allclose(flipped[1][:, [0, 2]], 63 - upright[1][:, [2, 0]])


def test_half_the_images_are_flipped():
    image = np.zeros((64, 64, 3), np.uint8)
    boxes = np.array([[20.0, 20, 40, 44]])
    upright = plain((64, 64), flip_chance=0)
    flips = sum(
        not np.array_equal(
            plain((64, 64))(np.random.default_rng(seed), image, boxes)[1],
            upright(np.random.default_rng(seed), image, boxes)[1],
        )
        for seed in range(400)
    )
    assert 160 < flips < 240


def test_boxes_are_cut_at_the_last_pixel_and_dropped_when_nothing_is_left():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[-50.0, -50, 150, 150], [0, 0, 1, 1], [400, 400, 420, 420]])
    _, moved, kept = plain((32, 48), scales=(0.6,))(np.random.default_rng(0), image, boxes)
    assert kept.tolist() == [0] and moved.tolist() == [[0, 0, 47, 31]]


def test_images_of_one_pixel_and_without_boxes_pass():
    image = np.full((1, 1, 3), 200, np.uint8)
    result, moved, kept = plain((32, 32))(np.random.default_rng(0), image, NO_BOXES)
    assert result.shape == (32, 32, 3) and moved.shape == (0, 4) and kept.shape == (0,)


def test_inputs_are_not_modified_and_the_same_rng_gives_the_same_result():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (70, 50, 3), dtype=np.uint8)
    boxes = np.array([[10.0, 10, 40, 60]])
    before = image.copy(), boxes.copy()
    first, again = (
        PublishedAugment((64, 64))(np.random.default_rng(5), image, boxes) for _ in range(2)
    )
    for got, expected in zip(first, again, strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)
    assert (image == before[0]).all() and (boxes == before[1]).all()


def step_by_step(rng: np.random.Generator, image: np.ndarray, extent: float) -> np.ndarray:
    """Jitter a float image in [0, 1] by three passes over its pixels, as the formulas read."""
    grey = (image @ [0.114, 0.587, 0.299])[..., None]
    mean = grey.mean()
    for operation in rng.permutation(("brightness", "contrast", "saturation")):
        factor = 1 + rng.uniform(-extent, extent)
        partner = {"brightness": 0.0, "contrast": mean, "saturation": grey}[operation]
        image = factor * image + (1 - factor) * partner
    return image


@pytest.mark.parametrize("seed", range(8))
def test_one_matrix_equals_three_passes(seed):
    image = np.random.default_rng(seed + 100).integers(0, 256, (9, 7, 3)).astype(np.float64)
    matrix, offset = jitter_colours(np.random.default_rng(seed), image.mean((0, 1)), 0.4)
    expected = 255 * step_by_step(np.random.default_rng(seed), image / 255, 0.4)
    np.testing.assert_allclose(image @ matrix.T + offset, expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_all_colour_changes_equal_the_formulas_but_for_rounding(seed):
    image = np.random.default_rng(seed + 100).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    expected = step_by_step(rng, image / 255, 0.4)
    for value, vector in zip(
        EIGENVALUES, EIGENVECTORS_BGR.T * rng.normal(0, 0.1, 3)[:, None], strict=True
    ):
        expected = expected + value * vector
    got = change_colours(np.random.default_rng(seed), image, 0.4, 0.1)
    assert got.dtype == np.uint8
    # Half a level is rounding; the rest is left to OpenCV, which computes with whole numbers.
    np.testing.assert_allclose(got, np.clip(255 * expected, 0, 255), atol=0.75)


def test_lighting_moves_along_the_principal_components():
    rng, image = np.random.default_rng(0), np.full((1, 1, 3), 128, np.uint8)
    shifts = np.array([change_colours(rng, image, 0, 0.1)[0, 0] - 128.0 for _ in range(4000)])
    expected = (EIGENVECTORS_BGR * (EIGENVALUES * 0.1 * 255) ** 2) @ EIGENVECTORS_BGR.T
    # Rounding to whole numbers adds a variance of 1/12.
    np.testing.assert_allclose(np.cov(shifts.T) - np.eye(3) / 12, expected, rtol=0.1)
    assert abs(shifts.mean(0)).max() < 0.3


def test_eigenvectors_are_orthonormal():
    np.testing.assert_allclose(EIGENVECTORS_BGR @ EIGENVECTORS_BGR.T, np.eye(3), atol=1e-6)


def test_factors_are_uniform_within_their_extent():
    rng = np.random.default_rng(0)
    matrices = np.array([jitter_colours(rng, (0.0, 0.0, 0.0), 0.4)[0] for _ in range(4000)])
    # Blending with grey adds equal rows: the difference of two rows has all three factors.
    products = matrices[:, 0, 0] - matrices[:, 1, 0]
    assert 0.6**3 <= products.min() < 0.3 and 2.4 < products.max() <= 1.4**3
    variance = 0.8**2 / 12  # of a uniform distribution from 0.6 to 1.4
    assert products.mean() == pytest.approx(1, abs=0.02)
    assert products.var() == pytest.approx((1 + variance) ** 3 - 1, rel=0.06)


def test_contrast_keeps_the_mean_of_a_grey_image():
    for seed in range(20):
        drawn = jitter_colours(np.random.default_rng(seed), (80.0, 80.0, 80.0), 0.4)
        black = jitter_colours(np.random.default_rng(seed), (0.0, 0.0, 0.0), 0.4)
        assert (drawn[0] == black[0]).all() and (black[1] == 0).all()
        assert drawn[1] == pytest.approx(drawn[1][0]) and abs(drawn[1][0]) <= 80 * 0.4 * 1.4**2


def test_colours_are_cut_off():
    rng, white = np.random.default_rng(0), np.full((1, 1, 3), 255, np.uint8)
    results = np.array([change_colours(rng, white, 0.4, 0.1)[0, 0] for _ in range(60)])
    assert results.max() == 255 and 100 < results.min() < 200  # never wraps around
