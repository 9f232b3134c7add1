"""centernet-nano: our small CenterNet, as large as ``cornernet-nano``.

Both share stem, hourglass and the convolution behind it. In the place of two corner modules and six
heads stand three heads with so many channels that parameters and operations of the two are equal
within a thousandth: comparing them compares the families.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.blocks import ConvBlock
from detectors.centernet_heads import center_heads
from detectors.cornernet_nano import CHANNELS, nano_hourglass, nano_stem

# Channels between the two convolutions of a head: 1 892 242 parameters with 6 classes, against
# 1 890 474 of cornernet-nano, and a multiple of 16, the unit of INT8 tensor cores.
HIDDEN = 112


class CenterNetNano(nn.Module):
    """A one-stack CenterNet.

    Args:
        num_classes: Channels of the heatmap.
    """

    def forward(self, images: Tensor) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Predict the three raw maps.

        Args:
            images: Normalised float (N, 3, H, W); H and W divisible by 32.

        Returns:
            Maps at a quarter of the size: ``hm`` (N, classes, H/4, W/4) as logits, ``wh``
            (N, 2, ...) width and height in cells, ``reg`` (N, 2, ...) offset of the centre as x,
            y. In training mode a list with this one stack's dict.
        """
        features = self.conv(self.hourglass(self.stem(images))[-1])
        maps = {name: head(features) for name, head in self.heads.items()}
        return [maps] if self.training else maps

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nano_stem()
        self.hourglass = nano_hourglass()
        self.conv = ConvBlock(3, CHANNELS, CHANNELS)
        self.heads = center_heads(num_classes, CHANNELS, HIDDEN)
