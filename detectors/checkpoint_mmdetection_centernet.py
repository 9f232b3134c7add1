"""CenterNet as mmdetection stores it: the release's layers in other wrappers.

Names and structure are those of ``ResNet``, ``CTResNetNeck`` and ``CenterNetHead`` of mmdetection
2.14 to 3.3 with ResNet-18, with and without deformable convolutions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from detectors import checkpoint_centernet
from detectors.checkpoint_mmdetection import AVERAGING_PREFIX

MARK = "bbox_head.heatmap_head."  # a key of no other layout

# Of a key in mmdetection -> in the authors' release; every one that matches is applied, in this
# order. A block of the neck is a convolution, a normalisation and an activation without weights.
RENAMES: tuple[tuple[str, str], ...] = (
    (r"^backbone\.", ""),
    (r"^bbox_head\.heatmap_head\.", "hm."),
    (r"^bbox_head\.wh_head\.", "wh."),
    (r"^bbox_head\.offset_head\.", "reg."),
    (r"\.conv_offset\.", ".conv_offset_mask."),
    *((rf"^neck\.deconv_layers\.{i}\.conv\.", f"deconv_layers.{3 * i}.") for i in range(6)),
    *((rf"^neck\.deconv_layers\.{i}\.bn\.", f"deconv_layers.{3 * i + 1}.") for i in range(6)),
)

_OFFSETS = ".conv_offset_mask.weight"


def rename_keys(keys: Iterable[str]) -> dict[str, str]:
    """Translate mmdetection's keys to ours.

    Args:
        keys: All keys of a ``state_dict``.

    Returns:
        mmdetection's key by our key, without the second copy that averaging leaves.
    """
    released = {_rename(key): key for key in keys if not key.startswith(AVERAGING_PREFIX)}
    ours = checkpoint_centernet.rename_keys(released)
    return {key: released[theirs] for key, theirs in ours.items()}


def add_biases(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by our keys with the biases that deformable convolutions lack here: zeros."""
    owners = [key.removesuffix(_OFFSETS) for key in tensors if key.endswith(_OFFSETS)]
    biases = {
        f"{owner}.bias": torch.zeros_like(tensors[f"{owner}.weight"][:, 0, 0, 0])
        for owner in owners
        if f"{owner}.weight" in tensors
    }
    return biases | dict(tensors)


def _rename(key: str) -> str:
    """Translate one key."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key
