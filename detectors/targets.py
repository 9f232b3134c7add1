"""From annotated boxes to the maps and lists that a CornerNet is trained against.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.gaussian import draw_gaussian, gaussian_radius
from runtime.errors import DatasetError


@dataclass(frozen=True)
class TargetSpec:
    """The sizes that targets are built for.

    Attributes:
        num_classes: Channels of each heatmap.
        input_hw: Height and width of the network's input, in pixels.
        output_hw: Height and width of the heatmaps, in cells.
        max_objects: Rows of the per-object lists.
        gaussian_iou: Overlap that a box with corners inside the Gaussians must keep; 0.3 is the
            value of the published configurations.
    """

    num_classes: int
    input_hw: tuple[int, int]
    output_hw: tuple[int, int]
    max_objects: int = 128
    gaussian_iou: float = 0.3

    def build(self, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Build the targets of one image: see ``build_targets``."""
        return build_targets(boxes_xyxy, class_ids, self)


def build_targets(
    boxes_xyxy: np.ndarray, class_ids: np.ndarray, spec: TargetSpec
) -> dict[str, np.ndarray]:
    """Build the training targets of one image.

    Boxes are clipped to the input, and boxes that are empty then are left out. With more than
    ``max_objects`` boxes, all are drawn on the heatmaps (a corner that is missing there would be
    taught as background), while embeddings and offsets are taught for the largest only.

    Args:
        boxes_xyxy: Float (n, 4), left, top, right, bottom edges in network input pixels, from 0 to
            the input's width or height; not modified. Computed in float64.
        class_ids: Integers (n,), in [0, num_classes).
        spec: Sizes of input and output.

    Returns:
        New arrays; rows of the lists follow the order of the boxes:
        ``tl_heat``, ``br_heat`` float32 (num_classes, h, w), exactly 1 at a corner's cell;
        ``tl_off``, ``br_off`` float32 (max_objects, 2), x and y of the corner inside its cell;
        ``tl_inds``, ``br_inds`` int64 (max_objects,), y * w + x of that cell;
        ``mask`` uint8 (max_objects,), 1 for rows in use.

    Raises:
        DatasetError: If shapes disagree, a coordinate is not finite, or a class id is unknown.
    """
    boxes, class_ids = usable_boxes(boxes_xyxy, class_ids, spec.num_classes, spec.input_hw)
    (in_h, in_w), (out_h, out_w) = spec.input_hw, spec.output_hw
    scale_xy = np.array([out_w / in_w, out_h / in_h])
    corners = boxes.reshape(-1, 2, 2) * scale_xy  # (n, tl or br, x or y), in cells
    # An edge on the input's right or bottom border belongs to the last cell, with offset 1.
    cells = np.minimum(corners.astype(np.int64), np.array([out_w - 1, out_h - 1]))
    sizes = np.ceil((boxes[:, 2:] - boxes[:, :2]) * scale_xy)
    radii = [math.floor(gaussian_radius(h, w, spec.gaussian_iou)) for w, h in sizes.tolist()]
    rows = largest_boxes(boxes, spec.max_objects)

    targets = {"mask": np.zeros(spec.max_objects, np.uint8)}
    targets["mask"][: len(rows)] = 1
    for corner, name in enumerate(("tl", "br")):
        heat = np.zeros((spec.num_classes, out_h, out_w), np.float32)
        for class_id, (x, y), radius in zip(
            class_ids.tolist(), cells[:, corner].tolist(), radii, strict=True
        ):
            draw_gaussian(heat[class_id], (x, y), radius)
        offsets = np.zeros((spec.max_objects, 2), np.float32)
        offsets[: len(rows)] = (corners - cells)[rows, corner]
        indices = np.zeros(spec.max_objects, np.int64)
        indices[: len(rows)] = cells[rows, corner, 1] * out_w + cells[rows, corner, 0]
        targets.update({f"{name}_heat": heat, f"{name}_off": offsets, f"{name}_inds": indices})
    return targets


def usable_boxes(
    boxes_xyxy: np.ndarray, class_ids: np.ndarray, num_classes: int, input_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Check the annotations of an image, clip its boxes, and drop the empty ones.

    Args:
        boxes_xyxy: As for ``build_targets``.
        class_ids: As for ``build_targets``.
        num_classes: Known classes.
        input_hw: Height and width of the network's input, in pixels.

    Returns:
        Boxes float64 (m, 4) inside the input, and their class ids (m,).

    Raises:
        DatasetError: If shapes disagree, a coordinate is not finite, or a class id is unknown.
    """
    boxes, class_ids = np.asarray(boxes_xyxy, np.float64), np.asarray(class_ids)
    if boxes.shape != (len(class_ids), 4):
        raise DatasetError(
            f"boxes of shape {boxes.shape} with {len(class_ids)} class ids; "
            f"expected ({len(class_ids)}, 4); check the annotations"
        )
    if not np.isfinite(boxes).all():
        raise DatasetError("a box has a coordinate that is not finite; check the annotations")
    wrong = class_ids[(class_ids < 0) | (class_ids >= num_classes)]
    if wrong.size:
        raise DatasetError(
            f"class id {wrong[0]}; expected 0 to {num_classes - 1}; check the annotations "
            "or the number of classes"
        )
    height, width = input_hw
    boxes = np.clip(boxes, 0.0, [width, height, width, height])
    kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes[kept], class_ids[kept]


def largest_boxes(boxes: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the ``count`` boxes of largest area, in the order of the boxes."""
    if len(boxes) <= count:
        return np.arange(len(boxes))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.sort(np.argsort(-areas, kind="stable")[:count])
