"""Draws boxes and labels on a picture."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Sequence

import cv2
import numpy as np

from runtime.detections import Detections

FONT = cv2.FONT_HERSHEY_SIMPLEX
REFERENCE_SIDE_PX = 480  # at this shorter side text has scale 0.5 and lines are 2 pixels wide
SMALLEST_FONT_SCALE = 0.35  # letters about 8 pixels high; smaller ones cannot be read
GOLDEN_RATIO = 0.618034  # hue steps of this size never come close to each other early
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
Color = tuple[int, int, int]


@functools.cache
def class_color(class_id: int) -> Color:
    """Return a class's colour, BGR: the same in every picture, clearly apart from its neighbours'.

    Args:
        class_id: Index of the class, from 0.
    """
    hue = (0.08 + class_id * GOLDEN_RATIO) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0 if class_id % 2 == 0 else 0.8)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    class_names: Sequence[str],
    track_ids: np.ndarray | None = None,
) -> np.ndarray:
    """Draw every box with its class and score, the best on top.

    Args:
        image: uint8 (H, W, 3), BGR; drawn on in place.
        detections: Boxes in pixels of ``image``.
        class_names: Names by class id.
        track_ids: int64 (N,), written before the class; below 1 is left out. None without tracking.

    Returns:
        ``image``.
    """
    side = min(image.shape[:2])
    font_scale = max(SMALLEST_FONT_SCALE, 0.5 * side / REFERENCE_SIDE_PX)
    thickness = max(1, round(2 * side / REFERENCE_SIDE_PX))
    # Whole pixels: a box edge at x lies between pixels x - 1 and x.
    corners = np.rint(detections.boxes_xyxy).astype(np.int64).tolist()
    for index in range(len(detections) - 1, -1, -1):
        left, top, right, bottom = corners[index]
        class_id = int(detections.class_ids[index])
        color = class_color(class_id)
        last_x, last_y = max(left, right - 1), max(top, bottom - 1)
        cv2.rectangle(image, (left, top), (last_x, last_y), color, thickness)
        text = f"{class_names[class_id]} {detections.scores[index]:.2f}"
        if track_ids is not None and track_ids[index] > 0:
            text = f"#{track_ids[index]} {text}"
        _draw_label(image, text, (left, top), color, font_scale)
    return image


def _draw_label(
    image: np.ndarray, text: str, corner_xy: tuple[int, int], color: Color, font_scale: float
) -> None:
    """Write text on a coloured ground above a box, or inside it where no room is left."""
    weight = max(1, round(font_scale * 1.6))
    (width, height), baseline = cv2.getTextSize(text, FONT, font_scale, weight)
    image_height, image_width = image.shape[:2]
    if width > image_width or 3 * (height + baseline) > image_height:
        return  # would hide the picture; the colour still tells the class
    x = min(max(0, corner_xy[0]), image_width - width)
    bottom = corner_xy[1] if corner_xy[1] >= height + baseline else corner_xy[1] + height + baseline
    bottom = min(max(bottom, height + baseline), image_height)
    ground = (x, bottom - height - baseline), (x + width - 1, bottom - 1)
    cv2.rectangle(image, *ground, color, cv2.FILLED)
    blue, green, red = color
    ink = BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else WHITE  # BT.601 luma
    cv2.putText(image, text, (x, bottom - baseline), FONT, font_scale, ink, weight, cv2.LINE_AA)
