"""CornerNet-Squeeze as published: CornerNet on hourglasses of fire modules, at stride 8.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, section 4.
"""

from __future__ import annotations

from torch import nn

from detectors.blocks import ConvBlock, Residual
from detectors.cornernet import CHANNELS, CornerNet
from detectors.fire import Fire
from detectors.hourglass import HourglassSpec, StackedHourglass, learned_upsample


def cornernet_squeeze(num_classes: int) -> CornerNet:
    """Build CornerNet-Squeeze: two hourglasses of four levels, 32 M parameters.

    Against CornerNet it halves the map once more before the first hourglass, replaces residual
    blocks inside the hourglasses by fire modules and nearest upsampling by a learned one, and
    predicts with 1x1 instead of 3x3 hidden layers.
    """
    stem = nn.Sequential(
        ConvBlock(7, 3, 128, stride=2),
        Residual(128, CHANNELS, stride=2),
        Residual(CHANNELS, CHANNELS, stride=2),
    )
    spec = HourglassSpec((CHANNELS, 256, 384, 384, 512), (2, 2, 2, 2, 4), Fire, learned_upsample)
    return CornerNet(StackedHourglass(stem, spec, stacks=2), num_classes, head_kernel=1)
