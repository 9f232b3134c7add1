"""Weights to begin a training with: all of them, or all but what knows the old classes."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from detectors.checkpoints import load_checkpoint, read_class_names

# The last layer of a heatmap head has a channel per class: heads.tl_heat.1 of nano, tl_heats.0.1 of
# the published networks.
CLASS_LAYER = re.compile(r"(tl|br)_heats?\.(\d+\.)?1\.(weight|bias)$")


def load_initial_weights(network: nn.Module, path: Path, class_names: tuple[str, ...]) -> str:
    """Fill a network for training on the classes given, as far as a file fits.

    Where the file was trained on other classes, or does not say on which and their number differs,
    the last layers of both heatmap heads keep the values that the network was built with: they
    know other classes only. All else must fit.

    Args:
        network: Built for ``class_names``.
        path: A checkpoint of the same model.
        class_names: The classes to be trained.

    Returns:
        What was kept, in one line.

    Raises:
        CheckpointError: If the file cannot be read, or differs in more than its classes.
    """
    fresh = {
        key: value.clone() for key, value in network.state_dict().items() if CLASS_LAYER.search(key)
    }
    report = load_checkpoint(network, path, strict=False)
    if report.missing or report.unexpected or not set(report.misshaped) <= set(fresh):
        load_checkpoint(network, path)  # raises, and says what does not fit
    names = read_class_names(path)
    if not report.misshaped and (names is None or names == class_names):
        return f"begin with all weights of {path}"
    with torch.no_grad():
        network.load_state_dict(fresh, strict=False)
    old = f"{len(names)} other classes" if names else "other classes"
    return f"begin with weights of {path} for {old}: the last layers of both heatmap heads are new"
