"""Weights to begin a training with: all of them, all but what knows the old classes, or a body."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from detectors.checkpoint_layouts import is_counter
from detectors.checkpoints import LoadReport, load_checkpoint, read_class_names

# The last layer of a heatmap head has a channel per class: heads.tl_heat.1 of cornernet-nano,
# tl_heats.0.1 of the published CornerNets, heads.hm.2 and heads.0.hm.1 or .2 of CenterNets.
CLASS_LAYER = re.compile(r"((tl|br)_heats?\.(\d+\.)?1|^heads\.(\d+\.)?hm\.[12])\.(weight|bias)$")
# What stands between the features and the raw maps; all before it is the body.
HEAD = re.compile(r"^(heads|(tl|br)_module)\.")


def load_initial_weights(network: nn.Module, path: Path, class_names: tuple[str, ...]) -> str:
    """Fill a network for training on the classes given, as far as a file fits.

    Where the file was trained on other classes, or does not say on which and their number differs,
    the last layers of the heatmap heads keep the values that the network was built with: they know
    other classes only. Where the file is of another model with the same body, such as
    cornernet-nano and centernet-nano, all heads keep them. All else must fit.

    Args:
        network: Built for ``class_names``.
        path: A checkpoint of the same model, or of one with the same body.
        class_names: The classes to be trained.

    Returns:
        What was kept, in one line.

    Raises:
        CheckpointError: If the file cannot be read, or differs in more than its classes or heads.
    """
    fresh = {
        key: value.clone() for key, value in network.state_dict().items() if CLASS_LAYER.search(key)
    }
    report = load_checkpoint(network, path, strict=False)
    if _is_body(report, network):
        parts = dict.fromkeys(key.split(".")[0] for key in report.missing)
        return f"begin with the body of {path} alone: new is {', '.join(parts)}"
    if report.missing or report.unexpected or not set(report.misshaped) <= set(fresh):
        load_checkpoint(network, path)  # raises, and says what does not fit
    names = read_class_names(path)
    if not report.misshaped and (names is None or names == class_names):
        return f"begin with all weights of {path}"
    with torch.no_grad():
        network.load_state_dict(fresh, strict=False)
    old = f"{len(names)} other classes" if names else "other classes"
    return f"begin with weights of {path} for {old}: the last layers of the heatmap heads are new"


def _is_body(report: LoadReport, network: nn.Module) -> bool:
    """Say whether a file holds all of a network but its heads, and beside that heads at most."""
    keys = [key for key in network.state_dict() if not is_counter(key)]
    heads = {key for key in keys if HEAD.search(key)}
    return (
        bool(heads)
        and set(report.missing) == heads
        and not report.misshaped
        and all(HEAD.search(key) for key in report.unexpected)
    )
