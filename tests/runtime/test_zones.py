"""Zones hold what stands in them, also at the border of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.zones import BoxAnchor, Zone, anchor_points, points_inside

LEFT_HALF = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
TRIANGLE = Zone("triangle", ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0)))


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (BoxAnchor.BOTTOM, (0.2, 0.6)),
        (BoxAnchor.CENTER, (0.2, 0.4)),
        (BoxAnchor.TOP, (0.2, 0.2)),
    ],
)
def test_the_anchor_says_which_point_of_a_box_counts(
    anchor: BoxAnchor, expected: tuple[float, float]
) -> None:
    boxes = np.array([[10, 10, 30, 30]], np.float32)
    points = anchor_points(boxes, (50, 100), anchor)
    np.testing.assert_allclose(points, [expected])
    assert points.dtype == np.float64


def test_a_box_beyond_the_border_stands_on_the_border() -> None:
    boxes = np.array([[-40, 10, 20, 60], [90, -30, 130, -10]], np.float32)
    points = anchor_points(boxes, (50, 100), BoxAnchor.BOTTOM)
    np.testing.assert_allclose(points, [[0.0, 1.0], [1.0, 0.0]])


def test_no_boxes_have_no_points_and_are_in_no_zone() -> None:
    points = anchor_points(np.zeros((0, 4), np.float32), (50, 100), BoxAnchor.BOTTOM)
    assert points.shape == (0, 2)
    assert points_inside([LEFT_HALF], points).shape == (1, 0)
    assert points_inside([], np.zeros((3, 2))).shape == (0, 3)


def test_points_are_inside_or_outside_of_each_zone() -> None:
    points = np.array([[0.25, 0.5], [0.75, 0.6], [0.6, 0.9]])
    inside = points_inside([LEFT_HALF, TRIANGLE], points)
    assert inside.dtype == bool
    assert inside.tolist() == [[True, False, False], [False, True, False]]


@pytest.mark.parametrize("point", [(0.0, 0.0), (0.5, 0.3), (0.0, 1.0), (0.2, 1.0), (0.5, 1.0)])
def test_an_edge_belongs_to_its_zone(point: tuple[float, float]) -> None:
    assert points_inside([LEFT_HALF], np.array([point])).tolist() == [[True]]


def test_an_object_cut_off_at_the_border_is_in_the_zone_that_ends_there() -> None:
    boxes = np.array([[10, 30, 30, 58]], np.float32)
    points = anchor_points(boxes, (50, 100), BoxAnchor.BOTTOM)
    assert points_inside([LEFT_HALF], points).all()
