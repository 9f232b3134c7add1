"""Zones and lines drawn on a camera's picture, and which boxes stand in a zone.

All points are fractions of the picture, (0, 0) its top left corner and (1, 1) its bottom right
one, so that they stay where they are when a camera changes its resolution.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Point = tuple[float, float]


class BoxAnchor(enum.Enum):
    """The point of a box that says where its object is; values are what users type."""

    BOTTOM = "bottom"  # middle of the lower edge: where somebody stands
    CENTER = "center"
    TOP = "top"  # middle of the upper edge: seen from below, or with feet hidden


@dataclass(frozen=True)
class Zone:
    """A part of the picture.

    Attributes:
        name: Unique within a camera.
        points_xy: Corners of the polygon as fractions of the picture, three or more.
        camera: Name of the only camera it is for; None for every camera.
    """

    name: str
    points_xy: tuple[Point, ...]
    camera: str | None = None


@dataclass(frozen=True)
class Line:
    """A line that objects are counted at.

    Attributes:
        name: Unique within a camera.
        points_xy: First and second end as fractions of the picture. Whoever walks from the first
            to the second has "in" on the right.
        camera: Name of the only camera it is for; None for every camera.
    """

    name: str
    points_xy: tuple[Point, Point]
    camera: str | None = None


def anchor_points(
    boxes_xyxy: np.ndarray, image_hw: tuple[int, int], anchor: BoxAnchor
) -> np.ndarray:
    """Return where the objects are.

    Args:
        boxes_xyxy: float32 (N, 4), in pixels.
        image_hw: Height and width of the picture.
        anchor: Which point of a box counts.

    Returns:
        float64 (N, 2), fractions of the picture. A point outside is moved to the border: an object
        that is cut off there is still in the zone that ends there.
    """
    left, top, right, bottom = boxes_xyxy.astype(np.float64).T
    if anchor is BoxAnchor.BOTTOM:
        y = bottom
    elif anchor is BoxAnchor.TOP:
        y = top
    else:
        y = (top + bottom) / 2
    height, width = image_hw
    fractions = np.stack([(left + right) / (2 * width), y / height], axis=1)
    inside: np.ndarray = np.clip(fractions, 0.0, 1.0)
    return inside


def points_inside(zones: Sequence[Zone], points_xy: np.ndarray) -> np.ndarray:
    """Say which points lie in which zones; an edge belongs to its zone.

    Args:
        zones: Any number; they may overlap.
        points_xy: (N, 2), fractions of the picture.

    Returns:
        bool (number of zones, N).
    """
    points = [(x, y) for x, y in points_xy.tolist()]
    contours = [np.array(zone.points_xy, np.float32) for zone in zones]
    rows = [
        [cv2.pointPolygonTest(contour, point, False) >= 0 for point in points]
        for contour in contours
    ]
    return np.array(rows, bool).reshape(len(zones), len(points))
