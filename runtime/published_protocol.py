"""How the published CornerNet code tests an image: padded, flipped, at several scales.

Used to reproduce published figures; a live stream uses the letterbox of ``runtime.preprocess``.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from runtime.suppression import NmsMethod, soft_nms, soft_nms_merge

NUM_CLASSES = 80
MAX_PER_IMAGE = 100
MERGE_EXPONENT = 10.0  # of the published multi-scale configuration


@dataclass(frozen=True)
class PaddedImage:
    """An image scaled, then padded with black to sizes that end in seven one-bits (``| 127``).

    Attributes:
        image: uint8 (H, W, 3), BGR, the network's input before normalisation.
        scale: Factor by which the original was scaled.
        scaled_hw: Size of the scaled image, in pixels.
        border_yx: Row and column at which the scaled image starts.
    """

    image: np.ndarray
    scale: float
    scaled_hw: tuple[int, int]
    border_yx: tuple[int, int]

    def map_hw(self, stride_px: int) -> tuple[int, int]:
        """Return the heatmaps' size for a network of this stride."""
        height, width = self.image.shape[:2]
        return (height + 1) // stride_px, (width + 1) // stride_px


def pad_image(image: np.ndarray, scale: float = 1.0) -> PaddedImage:
    """Scale an image and centre it on a canvas that the published networks accept.

    Where the scaled size already fits and is odd, the last row or column is lost: the published
    code cuts half the size to either side of the centre.

    Args:
        image: uint8 (H, W, 3), BGR; not modified.
        scale: Factor of the test scale.
    """
    height, width = int(image.shape[0] * scale), int(image.shape[1] * scale)
    resized = cv2.resize(image, (width, height))
    canvas = np.zeros((height | 127, width | 127, 3), np.uint8)
    rows, top = _centred(height, canvas.shape[0])
    columns, left = _centred(width, canvas.shape[1])
    canvas[top : top + rows, left : left + columns] = resized[:rows, :columns]
    return PaddedImage(canvas, scale, (height, width), (top, left))


def _centred(size: int, canvas: int) -> tuple[int, int]:
    """Return how much of ``size`` fits, and where it starts on the canvas."""
    return min(size, size // 2 + canvas // 2), canvas // 2 - size // 2


def join_flipped(detections: np.ndarray, map_width: int) -> np.ndarray:
    """Mirror the detections of the flipped image back and put them after the others.

    Args:
        detections: float32 (2, N, 8), image and flipped image, rows x1 y1 x2 y2 score
            top-left-score bottom-right-score class, in heatmap cells; not modified.
        map_width: Width of the heatmaps. Mirrored is ``map_width - x``, without the -1 of the
            training code: both are needed for the published figures.

    Returns:
        float32 (2 N, 8).
    """
    joined: np.ndarray = detections.copy()
    joined[1][:, [0, 2]] = map_width - joined[1][:, [2, 0]]
    return joined.reshape(-1, detections.shape[-1])


def boxes_to_image(detections: np.ndarray, padded: PaddedImage, stride_px: int) -> np.ndarray:
    """Map boxes from heatmap cells to pixels of the original image.

    Args:
        detections: float32 (N, 8), rows as in ``join_flipped``; not modified.
        padded: How the image was prepared.
        stride_px: Input pixels per heatmap cell. The exact ratio is map size over input size,
            which is not quite its inverse.

    Returns:
        float32 (N, 8), boxes clipped to the scaled image before its scale is undone.
    """
    moved: np.ndarray = detections.copy()
    for axis in (0, 1):  # y, then x
        columns = [1 - axis, 3 - axis]
        ratio = np.float32(padded.map_hw(stride_px)[axis] / padded.image.shape[axis])
        edges = moved[:, columns] / ratio - np.float32(padded.border_yx[axis])
        moved[:, columns] = np.clip(edges, 0, padded.scaled_hw[axis]) / np.float32(padded.scale)
    return moved


def final_detections(per_scale: Sequence[np.ndarray], merge: bool) -> list[np.ndarray]:
    """Suppress per class over all scales, then keep the best hundred (and their ties).

    The leftovers of soft-NMS are kept too, as in the published code.

    Args:
        per_scale: For each test scale float32 (N, 8), boxes in pixels of the original image.
        merge: Whether suppressed boxes pull the others, as in the published multi-scale test.

    Returns:
        Per class float32 (K, 5), rows x1 y1 x2 y2 score.
    """
    rows = np.concatenate(list(per_scale))
    rows = rows[rows[:, 4] > -1]
    per_class = []
    for class_id in range(NUM_CLASSES):
        boxes = np.ascontiguousarray(rows[rows[:, 7] == class_id, :7], np.float32)
        if merge:
            soft_nms_merge(boxes, NmsMethod.GAUSSIAN, weight_exponent=MERGE_EXPONENT)
        else:
            soft_nms(boxes, NmsMethod.GAUSSIAN)
        per_class.append(boxes[:, :5])
    scores = np.concatenate([boxes[:, 4] for boxes in per_class])
    if len(scores) <= MAX_PER_IMAGE:
        return per_class
    lowest = np.sort(scores)[-MAX_PER_IMAGE]
    return [boxes[boxes[:, 4] >= lowest] for boxes in per_class]
