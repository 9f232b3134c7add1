"""CornerNet as mmdetection stores it: other names, and another view of the input picture.

Names and structure are those of ``HourglassNet`` and ``CornerHead`` of mmdetection 2.4 to 3.3,
which did not change between these releases. The networks themselves are equal; what they expect of
a picture is not, so ``fold_input`` rewrites the first layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from detectors.registry import COCO_MEAN_BGR, COCO_STD_BGR

LAYOUT = "mmdetection"
MARK = "backbone.hourglass_modules."  # a key of no other layout
# mmdetection 2.x keeps the weights before averaging beside the averaged ones, under flat names.
AVERAGING_PREFIX = "ema_"

# Of a key in mmdetection -> in our modules; every one that matches is applied, in this order.
RENAMES: tuple[tuple[str, str], ...] = (
    (r"^backbone\.stem\.0\.", "hg.pre.0."),
    (r"^backbone\.stem\.1\.0\.", "hg.pre.1."),
    (r"^backbone\.hourglass_modules\.", "hg.hgs."),
    (r"^backbone\.out_convs\.", "hg.cnvs."),
    (r"^backbone\.inters\.", "hg.inters."),
    (r"^backbone\.conv1x1s\.(\d+)\.conv\.", r"hg.inters_.\1.0."),
    (r"^backbone\.conv1x1s\.(\d+)\.bn\.", r"hg.inters_.\1.1."),
    (r"^backbone\.remap_convs\.(\d+)\.conv\.", r"hg.cnvs_.\1.0."),
    (r"^backbone\.remap_convs\.(\d+)\.bn\.", r"hg.cnvs_.\1.1."),
    (r"\.downsample\.", ".skip."),
    (r"^bbox_head\.(tl|br)_pool\.", r"\1_modules."),
    (r"_modules\.(\d+)\.direction1_conv\.", r"_modules.\1.p1_conv1."),
    (r"_modules\.(\d+)\.direction2_conv\.", r"_modules.\1.p2_conv1."),
    (r"_modules\.(\d+)\.aftpool_conv\.conv\.", r"_modules.\1.p_conv1."),
    (r"_modules\.(\d+)\.aftpool_conv\.bn\.", r"_modules.\1.p_bn1."),
    (r"_modules\.(\d+)\.conv1\.conv\.", r"_modules.\1.conv1."),
    (r"_modules\.(\d+)\.conv1\.bn\.", r"_modules.\1.bn1."),
    (r"^bbox_head\.(tl|br)_(heat|off)\.", r"\1_\2s."),
    (r"^bbox_head\.(tl|br)_emb\.", r"\1_tags."),
    (r"^((?:tl|br)_(?:heats|tags|offs)\.\d+\.1)\.conv\.", r"\1."),
)

# What mmdetection subtracts and divides by, on pixels of 0 to 255 (its configs/cornernet).
MEAN_RGB = (123.675, 116.28, 103.53)
STD_RGB = (58.395, 57.12, 57.375)
FIRST_WEIGHT = "hg.pre.0.conv.weight"
FIRST_MEAN = "hg.pre.0.bn.running_mean"
# First convolution, and the mean behind it, of our CornerNet and of our CenterNets on ResNet.
FIRST_LAYERS = (
    (FIRST_WEIGHT, FIRST_MEAN),
    ("backbone.stem.conv.weight", "backbone.stem.bn.running_mean"),
)
INPUT_NOTE = (
    "trained on RGB with other statistics: the first layer was rewritten for BGR with COCO's, "
    "exactly but for the outermost 3 pixels, whose padding now has COCO's mean colour"
)


def rename_keys(keys: Iterable[str]) -> dict[str, str]:
    """Translate mmdetection's keys; a key that no rule knows keeps its name.

    Args:
        keys: All keys of a ``state_dict``, without a prefix before ``backbone`` and ``bbox_head``.

    Returns:
        mmdetection's key by our key, without the second copy that averaging leaves.
    """
    return {_rename(key): key for key in keys if not key.startswith(AVERAGING_PREFIX)}


def _rename(key: str) -> str:
    """Translate one key."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key


def fold_input(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rewrite the first layer so that it takes pictures as all our networks do.

    mmdetection feeds ``(255 * rgb - mean) / std``. That is linear in our input, so the convolution
    takes the factor and the batch normalisation behind it the constant. Outside the picture, where
    the convolution pads with zeros, a constant has no place: the frame of 3 pixels is seen in
    COCO's mean colour instead of mmdetection's, which differ by at most 0.07 standard deviations.

    Args:
        tensors: Weights by our keys; not modified.

    Returns:
        The weights with two tensors replaced; as they were, if one of the two is missing.
    """
    folded = dict(tensors)
    factor, constant = input_conversion()
    for weight_key, mean_key in FIRST_LAYERS:
        if weight_key in tensors and mean_key in tensors:
            weight, mean = tensors[weight_key], tensors[mean_key]
            swapped = weight.double().flip(1)  # its channels were red, green, blue
            scaled = swapped * factor[:, None, None]
            moved = mean.double() - (swapped * constant[:, None, None]).sum((1, 2, 3))
            folded |= {weight_key: scaled.to(weight.dtype), mean_key: moved.to(mean.dtype)}
    return folded


def input_conversion() -> tuple[Tensor, Tensor]:
    """Return factor and constant, float64 (3,) BGR, from our normalised input to mmdetection's."""
    mean, std = (torch.tensor(v[::-1], dtype=torch.float64) for v in (MEAN_RGB, STD_RGB))
    our_mean = 255 * torch.tensor(COCO_MEAN_BGR, dtype=torch.float64)
    our_std = 255 * torch.tensor(COCO_STD_BGR, dtype=torch.float64)
    return our_std / std, (our_mean - mean) / std


def class_names_of(meta: Any) -> tuple[str, ...] | None:
    """Return the classes that a file's ``meta`` names, in 2.x or 3.x manner; None without."""
    if not isinstance(meta, dict):
        return None
    about = meta.get("dataset_meta")
    modern = about.get("classes") or about.get("CLASSES") if isinstance(about, dict) else None
    names = modern or meta.get("CLASSES")
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
