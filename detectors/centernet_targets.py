"""From annotated boxes to the maps and lists that a CenterNet is trained against.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 3; radius and overlap as in the
published training code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.gaussian import draw_gaussian
from detectors.targets import TargetSpec, largest_boxes, usable_boxes


@dataclass(frozen=True)
class CenterTargetSpec(TargetSpec):
    """The sizes that targets are built for.

    Attributes:
        gaussian_iou: Overlap from which the Gaussians' radius is computed; 0.7 as published.
    """

    gaussian_iou: float = 0.7

    def build(self, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Build the targets of one image: see ``build_center_targets``."""
        return build_center_targets(boxes_xyxy, class_ids, self)


def build_center_targets(
    boxes_xyxy: np.ndarray, class_ids: np.ndarray, spec: CenterTargetSpec
) -> dict[str, np.ndarray]:
    """Build the training targets of one image.

    Boxes are clipped to the input, and boxes that are empty then are left out. With more than
    ``max_objects`` boxes, all are drawn on the heatmap, while sizes and offsets are taught for the
    largest only.

    Args:
        boxes_xyxy: Float (n, 4), left, top, right, bottom edges in network input pixels, from 0 to
            the input's width or height; not modified. Computed in float64.
        class_ids: Integers (n,), in [0, num_classes).
        spec: Sizes of input and output.

    Returns:
        New arrays; rows of the lists follow the order of the boxes:
        ``hm`` float32 (num_classes, h, w), exactly 1 at a centre's cell;
        ``wh`` float32 (max_objects, 2), width and height in cells;
        ``reg`` float32 (max_objects, 2), x and y of the centre inside its cell;
        ``inds`` int64 (max_objects,), y * w + x of that cell;
        ``mask`` uint8 (max_objects,), 1 for rows in use.

    Raises:
        DatasetError: If shapes disagree, a coordinate is not finite, or a class id is unknown.
    """
    boxes, class_ids = usable_boxes(boxes_xyxy, class_ids, spec.num_classes, spec.input_hw)
    (in_h, in_w), (out_h, out_w) = spec.input_hw, spec.output_hw
    corners = boxes.reshape(-1, 2, 2) * np.array([out_w / in_w, out_h / in_h])  # in cells
    sizes, centers = corners[:, 1] - corners[:, 0], corners.mean(axis=1)
    cells = centers.astype(np.int64)  # inside the map: no centre lies on its border
    heat = np.zeros((spec.num_classes, out_h, out_w), np.float32)
    for class_id, (x, y), (width, height) in zip(
        class_ids.tolist(), cells.tolist(), np.ceil(sizes).tolist(), strict=True
    ):
        radius = math.floor(center_gaussian_radius(height, width, spec.gaussian_iou))
        draw_gaussian(heat[class_id], (x, y), radius)
    rows = largest_boxes(boxes, spec.max_objects)
    targets = {
        "hm": heat,
        "wh": np.zeros((spec.max_objects, 2), np.float32),
        "reg": np.zeros((spec.max_objects, 2), np.float32),
        "inds": np.zeros(spec.max_objects, np.int64),
        "mask": np.zeros(spec.max_objects, np.uint8),
    }
    used = slice(len(rows))
    targets["wh"][used] = sizes[rows]
    targets["reg"][used] = (centers - cells)[rows]
    targets["inds"][used] = cells[rows, 1] * out_w + cells[rows, 0]
    targets["mask"][used] = 1
    return targets


def center_gaussian_radius(height: float, width: float, min_overlap: float) -> float:
    """Return the radius that CenterNet was published with, which is not ``gaussian_radius``.

    It comes from an early version of CornerNet's code that took the wrong root of each equation
    and divided by 2 instead of 2 a. The published networks were trained with it.

    Args:
        height: Height of the box, usually in heatmap cells; not negative.
        width: Width of the box, in the same unit; not negative.
        min_overlap: In (0, 1); 0.7 in the published training code.

    Returns:
        The radius in the unit of ``height``; callers truncate it to whole cells.

    Example:
        >>> round(center_gaussian_radius(10.0, 20.0, 0.7), 3)
        5.505
    """
    area, perimeter_half = height * width, height + width
    slide = _wrong_root(1.0, perimeter_half, area * (1 - min_overlap) / (1 + min_overlap))
    shrink = _wrong_root(4.0, 2 * perimeter_half, area * (1 - min_overlap))
    grow = _wrong_root(4 * min_overlap, -2 * min_overlap * perimeter_half, (min_overlap - 1) * area)
    return min(slide, shrink, grow)


def _wrong_root(a: float, b: float, c: float) -> float:
    return (b + math.sqrt(b * b - 4 * a * c)) / 2
