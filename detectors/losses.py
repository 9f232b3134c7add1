"""The losses of a CornerNet: focal on heatmaps, pull and push on embeddings, smooth L1 on offsets.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, sections 3.2 to 3.4; normalisation as in the
published training code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from runtime.contract import ATTENTION_NAMES, MAP_NAMES

# The published code keeps probabilities this far from 0 and 1; beyond, gradients are zero.
PROBABILITY_MARGIN = 1e-4
# Added to the divisors of the embedding and offset losses, so that zero objects divide by it.
COUNT_MARGIN = 1e-4
CORNERS = ("tl", "br")
TARGET_NAMES = (*(f"{c}_{kind}" for c in CORNERS for kind in ("heat", "off", "inds")), "mask")


@dataclass(frozen=True)
class LossWeights:
    """Factors of the total loss, beside 1 for the focal loss.

    Attributes:
        pull: Corners of one object share an embedding; 0.1 as published.
        push: Objects differ in embedding; 0.1 as published.
        offset: Position inside the cell; 1 as published.
        size: Width and height of a box, in the CenterNet family; 0.1 as published.
    """

    pull: float = 0.1
    push: float = 0.1
    offset: float = 1.0
    size: float = 0.1


def cornernet_loss(
    outputs_per_stack: Sequence[Mapping[str, Tensor]],
    targets: Mapping[str, Tensor],
    weights: LossWeights | None = None,
) -> dict[str, Tensor]:
    """Compare the raw maps of every stack with the targets of a batch.

    Half-precision maps are compared in float32, float64 maps in float64; nothing is modified.

    Args:
        outputs_per_stack: Per stack ``tl_heat``, ``br_heat`` logits (N, C, h, w), ``tl_tag``,
            ``br_tag`` (N, 1, h, w), ``tl_off``, ``br_off`` (N, 2, h, w).
        targets: Stacked results of ``detectors.targets.build_targets``: ``tl_heat``, ``br_heat``
            (N, C, h, w), ``tl_off``, ``br_off`` (N, M, 2), ``tl_inds``, ``br_inds`` int64 (N, M),
            ``mask`` (N, M) of any integer type or bool. Where there are ``tl_valid``, ``br_valid``
            (N, C, h, w), the focal loss counts only where they are not 0.
        weights: Factors of the total; the published ones by default.

    Returns:
        Scalars. ``focal``, ``pull``, ``push`` and ``offset`` are unweighted sums over the stacks;
        ``total`` is their weighted sum divided by the number of stacks. Focal and offset losses
        are divided by the number of objects in the batch, pull and push per image.

    Raises:
        ValueError: If there is no stack, or a map or target is missing; names it.
    """
    weights = weights or LossWeights()
    check_keys(outputs_per_stack, targets, MAP_NAMES, TARGET_NAMES)
    mask = targets["mask"].bool()
    parts = {"focal": [], "pull": [], "push": [], "offset": []}
    for maps in outputs_per_stack:
        tags = []
        for corner in CORNERS:
            heat = at_least_float32(maps[f"{corner}_heat"])
            valid = targets.get(f"{corner}_valid")
            parts["focal"].append(focal_loss(heat, targets[f"{corner}_heat"], valid))
            indices = targets[f"{corner}_inds"]
            tags.append(values_at(maps[f"{corner}_tag"], indices).squeeze(2))
            offsets = values_at(maps[f"{corner}_off"], indices)
            parts["offset"].append(offset_loss(offsets, targets[f"{corner}_off"], mask))
        pull, push = embedding_loss(tags[0], tags[1], mask)
        parts["pull"].append(pull)
        parts["push"].append(push)
    losses = {name: torch.stack(values).sum() for name, values in parts.items()}
    weighted = losses["focal"] + weights.pull * losses["pull"] + weights.push * losses["push"]
    weighted = weighted + weights.offset * losses["offset"]
    return {**losses, "total": weighted / len(outputs_per_stack)}


def saccade_loss(
    outputs_per_stack: Sequence[Mapping[str, Tensor]],
    targets: Mapping[str, Tensor],
    weights: LossWeights | None = None,
) -> dict[str, Tensor]:
    """Add the loss of the attention maps to ``cornernet_loss``.

    Args:
        outputs_per_stack: As in ``cornernet_loss``, with the logits ``att0``, ``att1``, ``att2``
            (N, 1, h, w) as well.
        targets: Stacked results of ``detectors.saccade_targets.build_saccade_targets``.
        weights: Factors of the total; the published ones by default.

    Returns:
        What ``cornernet_loss`` returns, with ``attention`` beside its parts: the unweighted sum
        over maps and stacks. The total counts it divided by the number of stacks twice, as
        published.

    Raises:
        ValueError: If there is no stack, or a map or target is missing; names it.

    Source: "CornerNet-Lite", arXiv:1904.08900, section 3.4.
    """
    losses = cornernet_loss(outputs_per_stack, targets, weights)
    stacks = len(outputs_per_stack)
    _check_attention(outputs_per_stack, targets)
    parts = [
        focal_loss(at_least_float32(maps[name]), targets[name])
        for maps in outputs_per_stack
        for name in ATTENTION_NAMES
    ]
    attention = torch.stack(parts).sum()
    total = losses["total"] + attention / stacks**2
    return {**losses, "attention": attention, "total": total}


def focal_loss(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the focal loss of one heatmap, with penalties softened near the true corners.

    Args:
        logits: Float (N, C, h, w).
        target: Float (N, C, h, w) in [0, 1]; exactly 1 marks a corner.
        valid: (N, C, h, w), 0 where a cell does not count; None counts all.

    Returns:
        The sum over all cells that count, divided by the number of corners in the batch, whether
        they count or not, where there are any.
    """
    probability = logits.sigmoid().clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    is_corner = target == 1
    found = torch.log(probability) * (1 - probability) ** 2
    quiet = torch.log(1 - probability) * probability**2 * (1 - target) ** 4
    per_cell = torch.where(is_corner, found, quiet)
    if valid is not None:
        per_cell = torch.where(valid != 0, per_cell, 0)
    return -per_cell.sum() / is_corner.sum().clamp(min=1)


def embedding_loss(tl_tags: Tensor, br_tags: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return pull and push: one object's corners agree, different objects lie 1 or more apart.

    Args:
        tl_tags: Float (N, M), embeddings at the top-left corners.
        br_tags: Float (N, M), embeddings at the bottom-right corners.
        mask: Bool (N, M), rows that hold an object.

    Returns:
        Two scalars, each averaged over an image's objects or pairs and summed over the images.
    """
    # Counts stay float32 whatever the maps are, as published: with a single object the push loss
    # is a difference of nearly equal numbers, and would otherwise be 0.0003 off the reference.
    count = mask.sum(1, dtype=torch.float32)
    means = (tl_tags + br_tags) / 2
    spread = (tl_tags - means) ** 2 + (br_tags - means) ** 2
    pull = torch.where(mask, spread, 0).sum(1) / (count + COUNT_MARGIN)

    margin = functional.relu(1 - (means.unsqueeze(1) - means.unsqueeze(2)).abs())
    # Every object is at distance 0 from itself: this takes the diagonal's ones out of the sum.
    margin = margin - (1 / (count + COUNT_MARGIN)).view(-1, 1, 1)
    pairs = mask.unsqueeze(1) & mask.unsqueeze(2)
    push = torch.where(pairs, margin, 0).sum((1, 2)) / (count * (count - 1) + COUNT_MARGIN)
    return pull.sum(), push.sum()


def offset_loss(offsets: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the smooth L1 distance of offsets per object of the batch.

    Args:
        offsets: Float (N, M, 2), predictions at the corners' cells.
        target: Float (N, M, 2).
        mask: Bool (N, M), rows that hold an object.
    """
    distance = functional.smooth_l1_loss(offsets, target.to(offsets.dtype), reduction="none")
    return torch.where(mask.unsqueeze(2), distance, 0).sum() / (mask.sum() + COUNT_MARGIN)


def values_at(values_map: Tensor, indices: Tensor) -> Tensor:
    """Read a map (N, K, h, w) at flat cells (N, M); returns (N, M, K), at least float32."""
    channels = values_map.shape[1]
    picked = indices.unsqueeze(1).expand(-1, channels, -1)
    return at_least_float32(values_map.flatten(2).gather(2, picked)).transpose(1, 2)


def at_least_float32(values: Tensor) -> Tensor:
    """Return values that losses can be computed with."""
    return values if values.dtype == torch.float64 else values.float()


def check_keys(
    outputs_per_stack: Sequence[Mapping[str, Tensor]],
    targets: Mapping[str, Tensor],
    map_names: Sequence[str],
    target_names: Sequence[str],
) -> None:
    """Name what is missing before an arithmetic error would hide it.

    Raises:
        ValueError: If there is no stack, or a map or target is missing.
    """
    if not outputs_per_stack:
        raise ValueError("the loss got no stack; expected the maps of at least one")
    for index, maps in enumerate(outputs_per_stack):
        if missing := [name for name in map_names if name not in maps]:
            raise ValueError(f"stack {index} lacks {missing}; expected all of {(*map_names,)}")
    if missing := [name for name in target_names if name not in targets]:
        raise ValueError(f"targets lack {missing}; expected all of {(*target_names,)}")


def _check_attention(
    outputs_per_stack: Sequence[Mapping[str, Tensor]], targets: Mapping[str, Tensor]
) -> None:
    """Name what a CornerNet without attention lacks."""
    for index, maps in enumerate(outputs_per_stack):
        if missing := [name for name in ATTENTION_NAMES if name not in maps]:
            raise ValueError(f"stack {index} lacks {missing}; expected all of {ATTENTION_NAMES}")
    names = ["tl_valid", "br_valid", *ATTENTION_NAMES]
    if missing := [name for name in names if name not in targets]:
        raise ValueError(f"targets lack {missing}; expected all of {names}")
