"""What CornerNet-Saccade is trained against: corners of what a crop shows well, and attention.

Objects that a crop shows half of or less, or that are small, are neither to be found nor to count
as background: their corners are left out of the heatmaps' loss.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, sections 3.1 and 3.4; numbers as in the
published training code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.targets import TargetSpec, build_targets
from runtime.attention import ATTENTION_STRIDES
from runtime.contract import ATTENTION_NAMES

# An object at least this long, in network pixels, that shows more than this share is to be found.
SMALLEST_SIDE_PX = 16
SMALLEST_SHARE = 0.5
# The longer side, in network pixels, of the objects that each attention map points at. Both ends
# belong to a range: an object of 32 pixels is small and medium.
ATTENTION_RANGES_PX = ((96.0, 256.0), (32.0, 96.0), (0.0, 32.0))
STRIDE_PX = 4  # of the heatmaps


@dataclass(frozen=True)
class SaccadeTargetSpec(TargetSpec):
    """The sizes that targets are built for; ``build`` adds what ``TargetSpec.build`` lacks.

    Attributes:
        gaussian_iou: 0.5 in the published configuration of CornerNet-Saccade.
    """

    gaussian_iou: float = 0.5

    def build(self, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Build the targets of one crop.

        Args:
            boxes_xyxy: Float (n, 4) in network pixels, whole boxes even where they leave the crop.
            class_ids: Integers (n,).

        Returns:
            What ``build_saccade_targets`` returns.

        Raises:
            DatasetError: As ``build_targets`` does.
        """
        boxes, ids = np.asarray(boxes_xyxy, np.float64), np.asarray(class_ids)
        height, width = self.input_hw
        visible = np.clip(boxes, 0.0, [width, height, width, height])
        shown = (visible[:, 2:] > visible[:, :2]).all(axis=1)
        shares = _areas(visible[shown]) / _areas(boxes[shown])
        return build_saccade_targets(visible[shown], ids[shown], shares, self)


def build_saccade_targets(
    visible_xyxy: np.ndarray, class_ids: np.ndarray, shares: np.ndarray, spec: TargetSpec
) -> dict[str, np.ndarray]:
    """Build the targets of one crop.

    Args:
        visible_xyxy: Float (n, 4) in network pixels, what the crop shows of each box; not empty.
        class_ids: Integers (n,), in [0, num_classes).
        shares: Float (n,), the shown part of each box's area.
        spec: Sizes of input and output.

    Returns:
        The targets that ``build_targets`` gives for the objects to be found, and
        ``tl_valid``, ``br_valid`` uint8 (num_classes, h, w), 0 where the heatmap's loss is not to
        count; ``att0``, ``att1``, ``att2`` float32 (1, h, w), 1 at the middle of every object, to
        be found or not, in the map of its size.

    Raises:
        DatasetError: As ``build_targets`` does.
    """
    visible, ids = np.asarray(visible_xyxy), np.asarray(class_ids)
    corners = visible.astype(np.int64)  # sides are taken between whole pixels, as published
    sides = (corners[:, 2:] - corners[:, :2]).max(axis=1, initial=0)
    found = (sides >= SMALLEST_SIDE_PX) & (shares > SMALLEST_SHARE)
    targets = build_targets(visible[found], ids[found], spec)
    ignored = build_targets(visible[~found], ids[~found], spec)
    for corner in ("tl", "br"):
        targets[f"{corner}_valid"] = (ignored[f"{corner}_heat"] == 0).astype(np.uint8)
    return targets | attention_targets(visible, spec.output_hw)


def attention_targets(boxes_xyxy: np.ndarray, output_hw: tuple[int, int]) -> dict[str, np.ndarray]:
    """Mark the middles of boxes in the attention map of their size.

    Args:
        boxes_xyxy: Float (n, 4) in network pixels.
        output_hw: Height and width of the heatmaps, in cells.

    Returns:
        ``att0``, ``att1``, ``att2`` float32 (1, h, w) at strides 16, 8 and 4, 0 or 1.
    """
    longer = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, initial=0)
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    maps = {}
    kinds = zip(ATTENTION_NAMES, ATTENTION_STRIDES, ATTENTION_RANGES_PX, strict=True)
    for name, stride, (smallest, largest) in kinds:
        height, width = (side * STRIDE_PX // stride for side in output_hw)
        cells = (centres[(longer >= smallest) & (longer <= largest)] / stride).astype(np.int64)
        x, y = np.minimum(cells, [width - 1, height - 1]).T
        maps[name] = np.zeros((1, height, width), np.float32)
        maps[name][0, y, x] = 1
    return maps


def _areas(boxes_xyxy: np.ndarray) -> np.ndarray:
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
