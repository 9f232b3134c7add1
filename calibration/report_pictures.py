"""Pictures of the images on which INT8 did most damage: the truth, FP32 and INT8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.report_comparison import ImageChange
from detectors.examples import load_image
from runtime.detections import Detections
from runtime.drawing import class_color, draw_detections

# Sides of a picture: from this shorter one on, draw_detections writes what can be read.
SHORTER_SIDE_PX, LONGER_SIDE_PX = 360, 640
JPEG_QUALITY = 80
# What all pictures together may weigh: a page is sent by mail and opened on a phone.
PICTURE_BYTES = 3_000_000
MARK_BGR, MARK_EDGE_BGR = (40, 40, 235), (255, 255, 255)
MARK_GAP_PX = 4  # between a box and its mark


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its three pictures.

    Attributes:
        change: What differs on it.
        truth_jpeg: The annotated objects, those lost marked.
        float_jpeg: FP32's detections, wrong ones that INT8 does not have marked.
        int8_jpeg: INT8's detections, new wrong ones marked.
    """

    change: ImageChange
    truth_jpeg: bytes
    float_jpeg: bytes
    int8_jpeg: bytes


def draw_cases(changes: Sequence[ImageChange], class_names: Sequence[str]) -> list[Case]:
    """Draw images in their order, as many as ``PICTURE_BYTES`` hold.

    Args:
        changes: The images.
        class_names: Names by class id.

    Raises:
        SourceError: If an image cannot be read.
    """
    cases: list[Case] = []
    size_bytes = 0
    for change in changes:
        case = draw_case(change, class_names)
        size_bytes += sum(map(len, (case.truth_jpeg, case.float_jpeg, case.int8_jpeg)))
        if size_bytes > PICTURE_BYTES:
            break
        cases.append(case)
    return cases


def draw_case(change: ImageChange, class_names: Sequence[str]) -> Case:
    """Draw one image three times.

    Raises:
        SourceError: If it cannot be read.
    """
    image = load_image(change.example)
    shorter, longer = sorted(image.shape[:2])
    scale = min(SHORTER_SIDE_PX / shorter, LONGER_SIDE_PX / longer)
    shrinking = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size_wh = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    tile = cv2.resize(image, size_wh, interpolation=shrinking)
    before, after = (_scaled(d, scale) for d in (change.float_shown, change.int8_shown))
    return Case(
        change,
        _encode(_draw_truth(tile.copy(), change, scale)),
        _encode(_draw_shown(tile.copy(), before, change.false_gone, class_names)),
        _encode(_draw_shown(tile.copy(), after, change.false_new, class_names)),
    )


def _draw_truth(tile: np.ndarray, change: ImageChange, scale: float) -> np.ndarray:
    """Draw the annotated boxes without labels, as they have no score."""
    boxes = np.rint(change.example.boxes_xyxy * scale).astype(int).tolist()
    for box, class_id in zip(boxes, change.example.class_ids.tolist(), strict=True):
        cv2.rectangle(tile, box[:2], box[2:], class_color(class_id), 2)
    for place in change.lost:
        _mark(tile, boxes[place])
    return tile


def _draw_shown(
    tile: np.ndarray, shown: Detections, marked: Sequence[int], class_names: Sequence[str]
) -> np.ndarray:
    """Draw detections as a live picture does, and a mark around some."""
    draw_detections(tile, shown, class_names)
    for row in marked:
        _mark(tile, np.rint(shown.boxes_xyxy[row]).astype(int).tolist())
    return tile


def _scaled(shown: Detections, scale: float) -> Detections:
    return Detections(shown.boxes_xyxy * np.float32(scale), shown.scores, shown.class_ids)


def _mark(tile: np.ndarray, box: Sequence[int]) -> None:
    """Draw a double frame around a box, which no class's box looks like."""
    height, width = tile.shape[:2]
    left, top = max(2, box[0] - MARK_GAP_PX), max(2, box[1] - MARK_GAP_PX)
    right, bottom = min(width - 3, box[2] + MARK_GAP_PX), min(height - 3, box[3] + MARK_GAP_PX)
    cv2.rectangle(tile, (left, top), (right, bottom), MARK_EDGE_BGR, 5)
    cv2.rectangle(tile, (left, top), (right, bottom), MARK_BGR, 3)


def _encode(picture: np.ndarray) -> bytes:
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done  # every uint8 picture has a JPEG
    return bytes(jpeg)
