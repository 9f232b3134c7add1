"""What turns a feature map into corners: corner pooling and the six predictions.

Source: CornerNet, arXiv:1808.01244, sections 3.2 to 3.5 and figure 7.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.blocks import BiasedConv, ConvBlock
from detectors.corner_pool import corner_pool

# The two directions that a corner's module pools in: towards the borders that meet in it.
POOL_DIRECTIONS = {"tl": ("top", "left"), "br": ("bottom", "right")}

# Sigmoid of -2.19 is 0.1: heatmaps start quiet, so that the focal loss does not explode.
HEATMAP_BIAS = -2.19


class CornerPool(nn.Module):
    """Corner pooling as a module without parameters, so that it can be watched or exchanged.

    Args:
        direction: "top", "bottom", "left" or "right", the border that maxima travel towards.
    """

    def __init__(self, direction: str) -> None:
        super().__init__()
        self.direction = direction

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; see ``detectors.corner_pool``."""
        return corner_pool(x, self.direction)

    def extra_repr(self) -> str:
        """Show the direction where the network is printed."""
        return self.direction


class CornerModule(nn.Module):
    """Pool two branches in two directions, add them, and mix with the unpooled input.

    Args:
        channels: Channels in and out.
        pooled: Channels of each pooled branch (128 in the published networks).
        directions: The two directions, a value of ``POOL_DIRECTIONS``.
    """

    def __init__(self, channels: int, pooled: int, directions: tuple[str, str]) -> None:
        super().__init__()
        self.pool1, self.pool2 = (CornerPool(direction) for direction in directions)
        self.p1_conv1 = ConvBlock(3, channels, pooled)
        self.p2_conv1 = ConvBlock(3, channels, pooled)
        self.p_conv1 = nn.Conv2d(pooled, channels, 3, padding=1, bias=False)
        self.p_bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = ConvBlock(3, channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        first = self.pool1(self.p1_conv1(x))
        second = self.pool2(self.p2_conv1(x))
        pooled = self.p_bn1(self.p_conv1(first + second))
        return self.conv2(self.relu1(pooled + self.bn1(self.conv1(x))))


def corner_heads(num_classes: int, channels: int, kernel: int) -> dict[str, nn.Sequential]:
    """Build the six prediction heads of one stack.

    Args:
        num_classes: Channels of the two heatmaps.
        channels: Channels of the corner modules' output and of each hidden layer.
        kernel: Side of the hidden layer's kernel: 3 in CornerNet, 1 in CornerNet-Squeeze.

    Returns:
        A head for every name in ``MAP_NAMES``; each maps (N, channels, H, W) to (N, out, H, W) with
        out = num_classes, 1 or 2.
    """
    outputs = {"heat": num_classes, "tag": 1, "off": 2}
    heads = {
        f"{corner}_{kind}": nn.Sequential(
            BiasedConv(kernel, channels, channels), nn.Conv2d(channels, out_channels, 1)
        )
        for corner in POOL_DIRECTIONS
        for kind, out_channels in outputs.items()
    }
    for corner in POOL_DIRECTIONS:
        nn.init.constant_(heads[f"{corner}_heat"][-1].bias, HEATMAP_BIAS)
    return heads
