"""CornerNet-Saccade's network: CornerNet on three small hourglasses, with attention maps.

It is run twice: on a small copy of the image, where attention maps and boxes say where to look
closer, then on crops of the image at those places. ``runtime.saccade`` does that.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, section 3.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.blocks import BiasedConv, ConvBlock, Residual
from detectors.cornernet import CHANNELS, CornerNet
from detectors.heads import HEATMAP_BIAS
from detectors.hourglass import HourglassSpec, StackedHourglass, StackOutput, nearest_upsample
from runtime.contract import ATTENTION_NAMES

STACKS = 3
# Channels of the hourglasses' merged maps at strides 16, 8 and 4, in the order of the attention
# maps: large, medium, small objects.
ATTENDED_CHANNELS = (384, 384, CHANNELS)


class CornerNetSaccade(CornerNet):
    """A CornerNet whose hourglasses also predict where objects of three sizes are.

    Args:
        num_classes: Channels of the two heatmaps.

    In addition to the six maps of ``CornerNet.forward`` every dict holds the logits ``att0``,
    ``att1``, ``att2`` (N, 1, h, w) at strides 16, 8 and 4: whether the middle of an object lies in
    the cell, of at least 96, 32 to 96, and at most 32 network pixels in its longer side.
    """

    def __init__(self, num_classes: int) -> None:
        stem = nn.Sequential(ConvBlock(7, 3, 128, stride=2), Residual(128, CHANNELS, stride=2))
        spec = HourglassSpec((CHANNELS, 384, 384, 512), (1, 1, 1, 1), Residual, nearest_upsample)
        super().__init__(StackedHourglass(stem, spec, STACKS), num_classes, head_kernel=3)
        self.att_modules = nn.ModuleList(_attention_heads() for _ in range(STACKS))

    def _predict(self, stack: int, output: StackOutput) -> dict[str, Tensor]:
        """Run one stack's corner modules and heads, and its attention modules."""
        maps = super()._predict(stack, output)
        heads = zip(ATTENTION_NAMES, self.att_modules[stack], output.levels, strict=True)
        return maps | {name: head(level) for name, head, level in heads}


def _attention_heads() -> nn.ModuleList:
    """Return one stack's attention modules; they start quiet, as heatmaps do."""
    heads = nn.ModuleList(
        nn.Sequential(BiasedConv(3, channels, CHANNELS), nn.Conv2d(CHANNELS, 1, 1))
        for channels in ATTENDED_CHANNELS
    )
    for head in heads:
        nn.init.constant_(head[-1].bias, HEATMAP_BIAS)
    return heads
