"""CenterNet as its authors' release stores it: other names for the same tensors.

Names and structure are those of the networks of xingyizhou/CenterNet (``hourglass``, ``res_18``,
``resdcn_18``, ``dlav0_34``, ``dla_34``). Files wrap them in ``state_dict``, sometimes behind
``module.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LAYOUT = "centernet"
MARK = "hm."  # a key of no other layout

# Of a key in the release -> in our modules; every one that matches is applied, in this order.
RENAMES: tuple[tuple[str, str], ...] = (
    (r"^(hm|wh|reg)\.(\d+)\.(\d+)\.", r"heads.\2.\1.\3."),  # hourglasses: by name, then stack
    (r"^(hm|wh|reg)\.", r"heads.0.\1."),
    (r"^(?!heads\.)", "backbone."),
    (r"^backbone\.kps\.", "backbone.hgs."),
    (r"^backbone\.conv1\.", "backbone.stem.conv."),
    (r"^backbone\.bn1\.", "backbone.stem.bn."),
    (r"\.downsample\.", ".skip."),
    (r"\.(base_layer|level[01]|proj_\d|node_\d)\.0\.", r".\1.conv."),
    (r"\.(base_layer|level[01]|proj_\d|node_\d)\.1\.", r".\1.bn."),
    (r"\.actf\.0\.", ".bn."),
)

# Weights that the release stores and does not use: the classifier of the pre-training, and two
# projections of DLA whose results are dropped.
UNUSED = re.compile(r"^base\.(fc|level[34]\.project)\.")


def rename_keys(keys: Iterable[str]) -> dict[str, str]:
    """Translate the release's keys.

    Args:
        keys: All keys of a ``state_dict``, without ``module.``.

    Returns:
        The release's key by our key, without weights that nothing uses.
    """
    return {_rename(key): key for key in keys if not UNUSED.match(key)}


def _rename(key: str) -> str:
    """Translate one key."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key
