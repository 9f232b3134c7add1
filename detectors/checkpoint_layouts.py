"""The names that weights go by in a file, and what they say about its origin.

Five layouts are understood, told apart by the keys themselves:

- ``cornerrt``: the names of our modules, which are those of CornerNet-Lite.
- ``cornernet-lite``: the same behind ``module.``, as ``DataParallel`` saves them.
- ``cornernet-2018``: the first release of CornerNet, whose modules had other names.
- ``centernet``: the release of CenterNet, whose modules have other names.
- ``mmdetection``: CornerNet and CenterNet as mmdetection 2.x and 3.x store them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import torch

from detectors import checkpoint_centernet, checkpoint_mmdetection_centernet
from detectors.checkpoint_mmdetection import LAYOUT, MARK, rename_keys
from detectors.registry import DETECTORS, build_detector

PARALLEL_PREFIX = "module."

# First part of a key in the CornerNet release of 2018 -> in our (and CornerNet-Lite's) modules;
# tl_heats, br_heats, tl_tags and br_tags kept their names.
RENAMES_2018 = {
    "pre": "hg.pre",
    "kps": "hg.hgs",
    "cnvs": "hg.cnvs",
    "inters": "hg.inters",
    "inters_": "hg.inters_",
    "cnvs_": "hg.cnvs_",
    "tl_cnvs": "tl_modules",
    "br_cnvs": "br_modules",
    "tl_regrs": "tl_offs",
    "br_regrs": "br_offs",
}

# Share of common keys above which keys are said to be a model's: far above the 0.54 that the two
# published networks have in common, and below 1, so that a file with a few keys lost is known.
LIKENESS = 0.8


def is_counter(key: str) -> bool:
    """Say whether a key is a step counter, which torch 0.4 and our own files do not store."""
    return key.endswith(".num_batches_tracked")


def name_layout(file_keys: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Recognise the layout of a file's keys and translate them.

    Args:
        file_keys: All keys as written in the file.

    Returns:
        The layout's name, and the file's key by our key; copies that need no loading are absent.
    """
    originals = list(file_keys)
    is_parallel = all(key.startswith(PARALLEL_PREFIX) for key in originals)
    plain = {k.removeprefix(PARALLEL_PREFIX) if is_parallel else k: k for k in originals}
    if any(key.startswith(MARK) for key in plain):
        return LAYOUT, _originals(rename_keys(plain), plain)
    if any(key.startswith(checkpoint_mmdetection_centernet.MARK) for key in plain):
        return LAYOUT, _originals(checkpoint_mmdetection_centernet.rename_keys(plain), plain)
    if any(key.startswith(checkpoint_centernet.MARK) for key in plain):
        return checkpoint_centernet.LAYOUT, _originals(
            checkpoint_centernet.rename_keys(plain), plain
        )
    if any(key.startswith("kps.") for key in plain):  # the hourglasses' name in 2018
        return "cornernet-2018", {_rename_2018(key): original for key, original in plain.items()}
    return "cornernet-lite" if is_parallel else "cornerrt", plain


def _originals(renamed: Mapping[str, str], plain: Mapping[str, str]) -> dict[str, str]:
    """Return the file's key by our key, from keys without the prefix by our key."""
    return {ours: plain[theirs] for ours, theirs in renamed.items()}


def find_model_name(keys: Iterable[str]) -> str | None:
    """Find the detector whose keys these are, all or nearly all.

    Args:
        keys: Keys in our layout.

    Returns:
        A name of the registry, or None.
    """
    wanted = _without_counters(keys)
    best, best_likeness = None, LIKENESS
    for name in DETECTORS:
        known = _keys_of(name)
        likeness = len(wanted & known) / len(wanted | known)
        if likeness > best_likeness:
            best, best_likeness = name, likeness
    return best


@functools.cache
def _keys_of(name: str) -> frozenset[str]:
    """Return the keys of a detector; the number of classes changes none."""
    with torch.device("meta"):  # names alone: no memory, no initialisation
        return _without_counters(build_detector(name).state_dict())


def _without_counters(keys: Iterable[str]) -> frozenset[str]:
    """Return the keys that every layout stores."""
    return frozenset(key for key in keys if not is_counter(key))


def _rename_2018(key: str) -> str:
    """Translate one key of the 2018 release."""
    first, dot, rest = key.partition(".")
    return RENAMES_2018.get(first, first) + dot + rest
