"""The three predictions of a CenterNet: where centres are, how large, and where in the cell.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 4.
"""

from __future__ import annotations

from torch import nn

from detectors.blocks import BiasedConv
from detectors.heads import HEATMAP_BIAS

# Centre heatmap logits; width and height of the box, in cells; the centre's offset (x, y) from the
# corner of its cell, in cells.
CENTER_MAP_NAMES = ("hm", "wh", "reg")


def center_heads(num_classes: int, in_channels: int, hidden_channels: int) -> nn.ModuleDict:
    """Build the heads of the CenterNets on ResNet and DLA.

    Args:
        num_classes: Channels of the heatmap.
        in_channels: Channels of the features.
        hidden_channels: Channels between a head's 3x3 and its 1x1 convolution.

    Returns:
        A head for every name in ``CENTER_MAP_NAMES``; each maps (N, in_channels, H, W) to
        (N, out, H, W) with out = num_classes or 2.
    """
    heads = {
        name: nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_channels, out_channels, 1),
        )
        for name, out_channels in _out_channels(num_classes).items()
    }
    return _quiet(heads)


def hourglass_center_heads(num_classes: int, channels: int) -> nn.ModuleDict:
    """Build the heads of one stack of the CenterNet on hourglasses, as ``center_heads`` does."""
    heads = {
        name: nn.Sequential(BiasedConv(3, channels, channels), nn.Conv2d(channels, out_channels, 1))
        for name, out_channels in _out_channels(num_classes).items()
    }
    return _quiet(heads)


def _out_channels(num_classes: int) -> dict[str, int]:
    return dict(zip(CENTER_MAP_NAMES, (num_classes, 2, 2), strict=True))


def _quiet(heads: dict[str, nn.Sequential]) -> nn.ModuleDict:
    """Let the heatmap start without objects, and the others at zero."""
    for name, head in heads.items():
        nn.init.constant_(head[-1].bias, HEATMAP_BIAS if name == "hm" else 0.0)
    return nn.ModuleDict(heads)
