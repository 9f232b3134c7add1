"""Counts objects that cross a line, each crossing once."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from runtime.zones import Line

# A box is across once it is this share of its shorter side beyond the line: edges of a box that
# stands still move by a few per cent from picture to picture.
TREMBLING_SHARE = 0.1
TREMBLING_PX = 2.0  # and at least so far, for boxes of a few pixels


class Direction(enum.Enum):
    """Which way over a line; values are what records hold."""

    IN = "in"  # to the right, as seen from its first point to its second
    OUT = "out"


@dataclass(frozen=True)
class Sightings:
    """One picture's objects.

    Attributes:
        ids: int64 (N,), below 1 for a box that is no object yet.
        points_xy: float64 (N, 2), where they are, fractions of the picture.
        sides_px: float (N,), the shorter side of each box.
        image_hw: Height and width of the picture.
        time_s: When it was taken; never goes backwards.
    """

    ids: np.ndarray
    points_xy: np.ndarray
    sides_px: np.ndarray
    image_hw: tuple[int, int]
    time_s: float


@dataclass
class _LastSeen:
    """Where an object was clearly beside the line, and when it was last seen anywhere."""

    point_xy: list[float]  # fractions of the picture
    is_right: bool
    time_s: float


class LineCounter:
    """Remembers on which side of one line each object was.

    An object crosses when it is clearly on the other side, and the way there from where it was
    clearly on this side leads through the line and not around its ends. So one that trembles on
    the line, jumps over it between two pictures or is hidden while it crosses counts once, and one
    that appears beyond the line does not count.

    Args:
        line: To count at.
        forget_after_s: How long an object may be unseen; its id must never be used again later.
    """

    def __init__(self, line: Line, forget_after_s: float) -> None:
        self.line = line
        self._forget_after_s = forget_after_s
        self._ends = np.array(line.points_xy, np.float64)
        self._seen: dict[int, _LastSeen] = {}

    def update(self, sightings: Sightings) -> list[tuple[int, Direction]]:
        """Take one picture's objects; return the index of each that crosses now, and which way."""
        time_s = sightings.time_s
        self._forget(time_s)
        ids, points = sightings.ids.tolist(), sightings.points_xy.tolist()
        crossed = []
        for index, side in enumerate(self._clear_sides(sightings)):
            if ids[index] < 1:
                continue
            seen = self._seen.get(ids[index])
            if side == 0:
                if seen is not None:
                    seen.time_s = time_s
                continue
            here = self._seen[ids[index]] = _LastSeen(points[index], side > 0, time_s)
            if seen is not None and seen.is_right != here.is_right and self._is_between(seen, here):
                crossed.append((index, Direction.IN if here.is_right else Direction.OUT))
        return crossed

    def _clear_sides(self, sightings: Sightings) -> list[int]:
        """Return 1 for each object clearly on the right, -1 for the left, and 0 in between."""
        picture_wh = np.array(sightings.image_hw[::-1], np.float64)
        distances = _distances(self._ends * picture_wh, sightings.points_xy * picture_wh)
        margins = np.maximum(TREMBLING_PX, TREMBLING_SHARE * sightings.sides_px)
        sides: list[int] = np.where(np.abs(distances) > margins, np.sign(distances), 0).tolist()
        return sides

    def _is_between(self, before: _LastSeen, after: _LastSeen) -> bool:
        """Say whether the way between two points on different sides leads through the line."""
        way = np.array([before.point_xy, after.point_xy])
        first, second = _distances(way, self._ends)
        return bool(first * second <= 0)

    def _forget(self, time_s: float) -> None:
        oldest = time_s - self._forget_after_s
        gone = [track_id for track_id, seen in self._seen.items() if seen.time_s < oldest]
        for track_id in gone:
            del self._seen[track_id]


def _distances(ends_xy: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
    """Return how far points are from the straight line through two others.

    Positive on its right as seen in the picture, from the first end to the second.
    """
    along = ends_xy[1] - ends_xy[0]
    offsets = points_xy - ends_xy[0]
    # The picture's y axis points down, so the cross product is positive to the right.
    distances: np.ndarray = along[0] * offsets[:, 1] - along[1] * offsets[:, 0]
    return distances / float(np.hypot(*along))
