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
SIZE_DIVISOR, SIZE_REMAINDER = 128, 1  # of the published CornerNets: sizes end in seven one-bits


@dataclass(frozen=True)
class PublishedSuppression:
    """How overlapping boxes of one class are suppressed; the defaults are those of the release.

    Attributes:
        method: How scores fall.
        iou_threshold: Overlap above which hard and linear suppression act.
        sigma: Width of the Gaussian.
        score_threshold: An overlapping box whose score falls below this is discarded.
        merge: Whether suppressed boxes pull the others, as in the published multi-scale test.
    """

    method: NmsMethod = NmsMethod.GAUSSIAN
    iou_threshold: float = 0.5
    sigma: float = 0.5
    score_threshold: float = 0.001
    merge: bool = False


@dataclass(frozen=True)
class PaddedImage:
    """An image scaled, then padded with black to a size that the network takes.

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


def pad_image(
    image: np.ndarray,
    scale: float = 1.0,
    divisor: int = SIZE_DIVISOR,
    remainder: int = SIZE_REMAINDER,
) -> PaddedImage:
    """Scale an image and centre it on the smallest canvas that the network accepts.

    With the defaults sizes become ``size | 127``, as in the published code.

    Where the scaled size already fits and is odd, the last row or column is lost: the published
    code cuts half the size to either side of the centre.

    Args:
        image: uint8 (H, W, 3), BGR; not modified.
        scale: Factor of the test scale.
        divisor: Canvas sides plus ``remainder`` are divisible by this.
        remainder: 1 for the published CornerNets.
    """
    height, width = (max(1, int(side * scale)) for side in image.shape[:2])
    resized = cv2.resize(image, (width, height))
    sides = (-(-(side + remainder) // divisor) * divisor - remainder for side in (height, width))
    canvas = np.zeros((*sides, 3), np.uint8)
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


def final_detections(
    per_scale: Sequence[np.ndarray],
    suppression: PublishedSuppression,
    num_classes: int = NUM_CLASSES,
) -> list[np.ndarray]:
    """Suppress per class over all scales, then keep the best hundred (and their ties).

    The leftovers of soft-NMS are kept too, as in the published code.

    Args:
        per_scale: For each test scale float32 (N, 8), boxes in pixels of the original image.
        suppression: How overlapping boxes are suppressed.
        num_classes: Classes of the network.

    Returns:
        Per class float32 (K, 5), rows x1 y1 x2 y2 score.
    """
    rows = np.concatenate(list(per_scale))
    rows = rows[rows[:, 4] > -1]
    per_class = []
    how = (
        suppression.method,
        suppression.iou_threshold,
        suppression.sigma,
        suppression.score_threshold,
    )
    for class_id in range(num_classes):
        boxes = np.ascontiguousarray(rows[rows[:, 7] == class_id, :7], np.float32)
        if suppression.merge:
            soft_nms_merge(boxes, *how, weight_exponent=MERGE_EXPONENT)
        else:
            soft_nms(boxes, *how)
        per_class.append(boxes[:, :5])
    scores = np.concatenate([boxes[:, 4] for boxes in per_class])
    if len(scores) <= MAX_PER_IMAGE:
        return per_class
    lowest = np.sort(scores)[-MAX_PER_IMAGE]
    return [boxes[boxes[:, 4] >= lowest] for boxes in per_class]
