"""Draws zones and lines with their counts on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from runtime.drawing import BLACK, FONT, REFERENCE_SIDE_PX, SMALLEST_FONT_SCALE, WHITE, Color
from runtime.tracks import Tracks
from runtime.zones import Line, Point, Zone

ZONE_COLOR: Color = (200, 200, 0)  # BGR: apart from the first classes' colours
LINE_COLOR: Color = (255, 0, 255)
ARROW_SHARE = 0.06  # of the picture's shorter side: shows the way in


def draw_zones(
    image: np.ndarray, zones: Sequence[Zone], lines: Sequence[Line], tracks: Tracks | None = None
) -> np.ndarray:
    """Draw a camera's zones and lines, each with its name, its counts and a line's way in.

    Args:
        image: uint8 (H, W, 3), BGR; drawn on in place.
        zones: Of the camera.
        lines: Of the camera.
        tracks: Of the picture; None for no counts.

    Returns:
        ``image``.
    """
    thickness = max(1, round(min(image.shape[:2]) / REFERENCE_SIDE_PX))
    zone_counts = (tracks and tracks.zone_counts) or {}
    line_counts = (tracks and tracks.line_counts) or {}
    for zone in zones:
        corners = np.array([_pixel(image, point) for point in zone.points_xy], np.int32)
        cv2.polylines(image, [corners], True, ZONE_COLOR, thickness, cv2.LINE_AA)
        count = f" {zone_counts[zone.name]}" if zone.name in zone_counts else ""
        _write(image, zone.name + count, zone.points_xy[0])
    for line in lines:
        _draw_line(image, line, thickness)
        counts = line_counts.get(line.name, {})
        text = "".join(f" {direction} {count}" for direction, count in counts.items())
        _write(image, line.name + text, line.points_xy[0])
    return image


def _draw_line(image: np.ndarray, line: Line, thickness: int) -> None:
    """Draw the line, and from its middle an arrow to its right: the way in."""
    first, second = (_pixel(image, point) for point in line.points_xy)
    cv2.line(image, first, second, LINE_COLOR, 2 * thickness, cv2.LINE_AA)
    along = np.subtract(second, first).astype(np.float64)
    middle = np.add(first, second) / 2
    length = ARROW_SHARE * min(image.shape[:2])
    right = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1.0)
    tip = np.rint(middle + length * right).astype(int).tolist()
    start = np.rint(middle).astype(int).tolist()
    cv2.arrowedLine(image, start, tip, LINE_COLOR, thickness, cv2.LINE_AA, tipLength=0.4)


def _write(image: np.ndarray, text: str, point: Point) -> None:
    """Write white letters with a dark rim, inside the picture and near a point."""
    height, width = image.shape[:2]
    scale = max(SMALLEST_FONT_SCALE, 0.5 * min(height, width) / REFERENCE_SIDE_PX)
    weight = max(1, round(scale * 1.6))
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, scale, weight)
    x, y = _pixel(image, point)
    x = min(max(x, 0), max(0, width - text_width))
    y = min(max(y - baseline, text_height), height - baseline)
    for color, thick in ((BLACK, 3 * weight), (WHITE, weight)):
        cv2.putText(image, text, (x, y), FONT, scale, color, thick, cv2.LINE_AA)


def _pixel(image: np.ndarray, point: Point) -> tuple[int, int]:
    height, width = image.shape[:2]
    return round(point[0] * (width - 1)), round(point[1] * (height - 1))
