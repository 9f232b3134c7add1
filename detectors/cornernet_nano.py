"""cornernet-nano: our small CornerNet for a Jetson Nano or two CPU cores.

One hourglass of three levels at stride 4, corner modules with 32 pooled channels, and 1x1
prediction heads as in CornerNet-Squeeze. Channels after the stem's first convolution are multiples
of 16, the unit of INT8 tensor cores.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.blocks import ConvBlock, Residual
from detectors.heads import POOL_DIRECTIONS, CornerModule, corner_heads
from detectors.hourglass import Hourglass, HourglassSpec, nearest_upsample
from runtime.contract import MAP_NAMES

CHANNELS = 48
POOLED = 32


class CornerNetNano(nn.Module):
    """A one-stack CornerNet.

    Args:
        num_classes: Channels of the two heatmaps.
    """

    def forward(self, images: Tensor) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Predict the six raw maps.

        Args:
            images: Normalised float (N, 3, H, W); H and W divisible by 32.

        Returns:
            Maps at a quarter of the size, heatmaps as logits: ``tl_heat``, ``br_heat``
            (N, classes, H/4, W/4), ``tl_tag``, ``br_tag`` (N, 1, ...), ``tl_off``, ``br_off``
            (N, 2, ...) as x, y. In training mode a list with this one stack's dict.
        """
        features = self.conv(self.hourglass(self.stem(images))[-1])
        corners = {"tl": self.tl_module(features), "br": self.br_module(features)}
        maps = {name: self.heads[name](corners[name[:2]]) for name in MAP_NAMES}
        return [maps] if self.training else maps

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nano_stem()
        self.hourglass = nano_hourglass()
        self.conv = ConvBlock(3, CHANNELS, CHANNELS)
        self.tl_module = CornerModule(CHANNELS, POOLED, POOL_DIRECTIONS["tl"])
        self.br_module = CornerModule(CHANNELS, POOLED, POOL_DIRECTIONS["br"])
        self.heads = nn.ModuleDict(corner_heads(num_classes, CHANNELS, kernel=1))


def nano_stem() -> nn.Sequential:
    """Return what brings images to stride 4 and 48 channels."""
    return nn.Sequential(ConvBlock(3, 3, 24, stride=2), ConvBlock(3, 24, CHANNELS, stride=2))


def nano_hourglass() -> Hourglass:
    """Return the hourglass of three levels behind the stem."""
    return Hourglass(
        HourglassSpec((CHANNELS, 64, 96, 128), (1, 1, 1, 2), Residual, nearest_upsample)
    )
