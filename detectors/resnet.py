"""ResNet-18, brought back from stride 32 to the stride 4 of a heatmap.

Source: He et al., "Deep Residual Learning", arXiv:1512.03385; the way back up is that of Xiao et
al., "Simple Baselines", arXiv:1804.06208, and with a convolution before every doubling that of
"Objects as Points", arXiv:1904.07850, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from detectors.blocks import ConvBlock, Residual

STEM_CHANNELS = 64
LAYER_CHANNELS = (64, 128, 256, 512)
# Channels of the three maps on the way up; the last one is what heads see.
TRANSPOSED_CHANNELS = (256, 256, 256)
CONVOLVED_CHANNELS = (256, 128, 64)

# (in_channels, out_channels) -> 3x3 convolution that keeps the size
ConvFactory = Callable[[int, int], nn.Module]


class ResNet18(nn.Module):
    """ResNet-18 without its classifier, and layers that bring its map to stride 4.

    Args:
        upsampling: Maps (N, 512, H / 32, W / 32) to (N, C, H / 4, W / 4).
    """

    def __init__(self, upsampling: nn.Sequential) -> None:
        super().__init__()
        self.stem = ConvBlock(7, 3, STEM_CHANNELS, stride=2)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = (STEM_CHANNELS, *LAYER_CHANNELS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _layer(before, after) for before, after in pairwise(channels)
        )
        self.deconv_layers = upsampling

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W), sides divisible by 32, to one map (N, C, H / 4, W / 4)."""
        x = self.maxpool(self.stem(images))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return [self.deconv_layers(x)]


def transposed_upsampling() -> nn.Sequential:
    """Return three transposed convolutions that double the map's size; 256 channels."""
    layers = []
    for before, after in pairwise((LAYER_CHANNELS[-1], *TRANSPOSED_CHANNELS)):
        layers += _doubling(before, after)
    return nn.Sequential(*layers)


def convolved_upsampling(convolve: ConvFactory) -> nn.Sequential:
    """Return three doublings with a convolution before each; they end in 64 channels.

    Args:
        convolve: Makes the convolutions that change the number of channels.
    """
    layers = []
    for before, after in pairwise((LAYER_CHANNELS[-1], *CONVOLVED_CHANNELS)):
        layers += [convolve(before, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        layers += _doubling(after, after)
    return nn.Sequential(*layers)


def plain_conv(in_channels: int, out_channels: int) -> nn.Module:
    """Return a 3x3 convolution without bias, for a normalisation behind it."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def _layer(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two residual blocks; all layers but the first one halve the map's size."""
    stride = 1 if in_channels == out_channels else 2
    return nn.Sequential(
        Residual(in_channels, out_channels, stride), Residual(out_channels, out_channels)
    )


def _doubling(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
