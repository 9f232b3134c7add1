"""The losses of a CenterNet: focal on the heatmap, L1 on size and offset.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 3; normalisation as in the
published training code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from detectors.centernet_heads import CENTER_MAP_NAMES
from detectors.losses import (
    COUNT_MARGIN,
    LossWeights,
    at_least_float32,
    check_keys,
    focal_loss,
    values_at,
)

TARGET_NAMES = (*CENTER_MAP_NAMES, "inds", "mask")


def centernet_loss(
    outputs_per_stack: Sequence[Mapping[str, Tensor]],
    targets: Mapping[str, Tensor],
    weights: LossWeights | None = None,
) -> dict[str, Tensor]:
    """Compare the raw maps of every stack with the targets of a batch.

    Half-precision maps are compared in float32, float64 maps in float64; nothing is modified.

    Args:
        outputs_per_stack: Per stack ``hm`` logits (N, C, h, w), ``wh`` and ``reg`` (N, 2, h, w).
        targets: Stacked results of ``detectors.centernet_targets.build_center_targets``: ``hm``
            (N, C, h, w), ``wh``, ``reg`` (N, M, 2), ``inds`` int64 (N, M), ``mask`` (N, M).
        weights: Factors of the total, of which ``size`` and ``offset`` count; the published ones
            by default.

    Returns:
        Scalars. ``focal``, ``size`` and ``offset`` are unweighted sums over the stacks; ``total``
        is their weighted sum divided by the number of stacks. All are divided by the number of
        objects in the batch, the last two by the number of their coordinates.

    Raises:
        ValueError: If there is no stack, or a map or target is missing; names it.
    """
    weights = weights or LossWeights()
    check_keys(outputs_per_stack, targets, CENTER_MAP_NAMES, TARGET_NAMES)
    mask, indices = targets["mask"].bool(), targets["inds"]
    parts: dict[str, list[Tensor]] = {"focal": [], "size": [], "offset": []}
    for maps in outputs_per_stack:
        parts["focal"].append(focal_loss(at_least_float32(maps["hm"]), targets["hm"]))
        parts["size"].append(l1_loss(values_at(maps["wh"], indices), targets["wh"], mask))
        parts["offset"].append(l1_loss(values_at(maps["reg"], indices), targets["reg"], mask))
    losses = {name: torch.stack(values).sum() for name, values in parts.items()}
    weighted = losses["focal"] + weights.size * losses["size"] + weights.offset * losses["offset"]
    return {**losses, "total": weighted / len(outputs_per_stack)}


def l1_loss(values: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute difference over the coordinates of the batch's objects.

    Args:
        values: Float (N, M, 2), predictions at the objects' cells.
        target: Float (N, M, 2).
        mask: Bool (N, M), rows that hold an object.
    """
    distance = (values - target.to(values.dtype)).abs()
    used = torch.where(mask.unsqueeze(2), distance, 0).sum()
    return used / (mask.sum() * values.shape[2] + COUNT_MARGIN)
