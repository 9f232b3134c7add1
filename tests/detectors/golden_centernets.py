"""The published CenterNets with deterministic weights, and what the golden data calls them.

The golden data was computed by the authors' code on a CPU. Its files in tests/data hold every
fourth channel of the 128-pixel heatmaps and the means of all, and samples of the 512-pixel maps.
"""

from __future__ import annotations

import torch
from torch import nn

from detectors.checkpoint_centernet import rename_keys
from detectors.registry import build_detector
from tests.detectors.deterministic_weights import HEAD_SCALE, draw_state
from tests.detectors.golden_networks import read_state

# Our name -> the golden files' name.
STATES = {
    "centernet-hourglass104": "ct_hourglass",
    "centernet-resnet18": "ct_res18",
    "centernet-resdcn18": "ct_resdcn18",
    "centernet-dla34": "ct_dlav0",
    "centernet-dla34-dcn": "ct_dla34",
}


def published_state(name: str) -> dict[str, torch.Tensor]:
    """Draw the state dict of a release's file by the names that are stored there."""
    shapes = ((key, tuple(row[0])) for key, row in read_state(STATES[name]).items())
    return draw_state(shapes, HEAD_SCALE if name == "centernet-hourglass104" else 1.0)


def filled_centernet(name: str) -> nn.Module:
    """Build a published CenterNet with deterministic weights, in evaluation mode."""
    state = published_state(name)
    with torch.device("meta"):
        model = build_detector(name)
    renamed = {ours: state[theirs] for ours, theirs in rename_keys(state).items()}
    model.load_state_dict(renamed, assign=True)
    return model.eval()
