"""Boxes and labels on pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.drawing import class_color, draw_detections

NAMES = ("square", "circle", "a class with a rather long name")


def one(box: tuple[float, ...], class_id: int = 0, score: float = 0.9) -> Detections:
    return Detections(np.float32([box]), np.float32([score]), np.int32([class_id]))


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_drawing_is_in_place_and_on_the_boxs_edge() -> None:
    image = black(480, 640)
    assert draw_detections(image, one((100, 200, 300, 400)), NAMES) is image
    color = class_color(0)
    for y, x in ((200, 200), (399, 200), (300, 100), (300, 299)):
        assert tuple(image[y, x]) == color
    assert not image[250:350, 150:250].any()
    assert not image[:, 320:].any()


def test_the_label_lies_above_the_box_or_inside_at_the_top_border() -> None:
    above = draw_detections(black(480, 640), one((100, 200, 300, 400)), NAMES)
    assert above[190:198, 105:150].any()
    inside = draw_detections(black(480, 640), one((100, 0, 300, 400)), NAMES)
    assert inside[4:12, 105:150].any()


def test_a_label_never_leaves_the_picture() -> None:
    right = draw_detections(black(480, 640), one((600, 200, 640, 400)), NAMES)
    assert right[190:198, 540:590].any()  # moved to the left


def test_the_best_box_is_on_top() -> None:
    two = Detections(
        np.float32([[10, 10, 90, 90], [10, 10, 90, 90]]), np.float32([0.9, 0.5]), np.int32([1, 0])
    )
    image = draw_detections(black(100, 100), two, NAMES)
    assert tuple(image[50, 10]) == class_color(1)


def test_without_detections_nothing_changes() -> None:
    assert not draw_detections(black(48, 64), Detections.empty(), NAMES).any()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 500), (500, 1), (16, 16), (48, 64), (2160, 3840)]
)
def test_any_size_can_be_drawn_on(height: int, width: int) -> None:
    image = black(height, width)
    draw_detections(image, one((0, 0, width, height), class_id=2), NAMES)
    assert image.any()


def test_text_grows_with_the_picture() -> None:
    def label_rows(scale: int) -> int:
        image = black(480 * scale, 640 * scale)
        box = (200 * scale, 200 * scale, 400 * scale, 400 * scale)
        draw_detections(image, one(box), NAMES)
        return int(image[: 199 * scale].any(axis=(1, 2)).sum())

    assert label_rows(2) > 1.5 * label_rows(1) > 10


def test_colours_are_stable_and_apart() -> None:
    colors = [np.array(class_color(i), float) for i in range(6)]
    assert class_color(3) == class_color(3)
    distances = [np.abs(a - b).sum() for i, a in enumerate(colors) for b in colors[:i]]
    assert min(distances) > 60
    assert len({class_color(i) for i in range(80)}) == 80
