"""Gaussian radius and drawing against the golden data, the definition, and the borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.gaussian import draw_gaussian, gaussian_patch, gaussian_radius

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "gaussian.npz"


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


def test_radius_equals_the_golden_table() -> None:
    with np.load(GOLDEN) as data:
        table = data["radius_table"]
    got = [gaussian_radius(height, width, iou) for height, width, iou in table[:, :3]]
    np.testing.assert_allclose(got, table[:, 3], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.maximum(0, np.trunc(got)), table[:, 4])


@pytest.mark.parametrize(("height", "width"), [(10, 20), (33, 7), (1, 1), (64, 64)])
@pytest.mark.parametrize("min_overlap", [0.3, 0.7])
def test_radius_is_the_largest_that_keeps_the_overlap(
    height: float, width: float, min_overlap: float
) -> None:
    r = gaussian_radius(height, width, min_overlap)
    moved = [(r, r, width + r, height + r), (r, r, width - r, height - r)]
    moved.append((-r, -r, width + r, height + r))
    worst = min(overlap((0, 0, width, height), box) for box in moved)
    assert worst == pytest.approx(min_overlap, abs=1e-9)


def test_radius_of_a_flat_box_is_zero() -> None:
    assert gaussian_radius(0, 12, 0.3) == 0


@pytest.mark.parametrize("arguments", [(-1, 2, 0.3), (1, 2, 0), (1, 2, 1), (float("nan"), 2, 0.3)])
def test_radius_refuses_impossible_arguments(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected sides of at least 0 and an overlap between"):
        gaussian_radius(*arguments)


@pytest.mark.parametrize("radius", range(11))
def test_patch_equals_the_golden_data(radius: int) -> None:
    with np.load(GOLDEN) as data:
        expected = data[f"gaussian2D_r{radius}"]
    np.testing.assert_allclose(gaussian_patch(radius), expected, rtol=1e-14, strict=True)


def test_patch_cannot_be_spoiled_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        gaussian_patch(2)[0, 0] = 1


def test_drawing_equals_the_golden_sequence() -> None:
    with np.load(GOLDEN) as data:
        draws, sequence = data["draw_xyr"].tolist(), data["draw_seq"]
    heatmap = np.zeros(sequence.shape[1:], np.float32)
    for (x, y, radius), expected in zip(draws, sequence, strict=True):
        draw_gaussian(heatmap, (x, y), radius)
        np.testing.assert_array_equal(heatmap, expected)


def test_drawing_keeps_what_is_higher() -> None:
    heatmap = np.full((9, 9), 0.25, np.float32)
    draw_gaussian(heatmap, (4, 4), 3)
    assert heatmap[4, 4] == 1
    assert heatmap.min() == 0.25


@pytest.mark.parametrize("center_xy", [(-1, 2), (2, -1), (5, 2), (2, 4), (100, 100)])
def test_a_centre_outside_draws_nothing(center_xy: tuple[int, int]) -> None:
    heatmap = np.zeros((4, 5), np.float32)
    draw_gaussian(heatmap, center_xy, 3)
    assert not heatmap.any()


def test_a_patch_larger_than_the_map_is_cut_on_all_sides() -> None:
    heatmap = np.zeros((3, 2), np.float64)
    draw_gaussian(heatmap, (1, 1), 9)
    np.testing.assert_array_equal(heatmap, gaussian_patch(9)[8:11, 8:10])


@pytest.mark.parametrize(("shape", "radius"), [((2, 2, 2), 1), ((4, 4), -1)])
def test_drawing_refuses_wrong_arguments(shape: tuple[int, ...], radius: int) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W\) and a radius of at least 0"):
        draw_gaussian(np.zeros(shape, np.float32), (1, 1), radius)
