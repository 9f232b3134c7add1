"""DLA-34: residual blocks in trees, whose roots join what the branches found.

A published network also computes two projections, ``level3.project`` and ``level4.project``, that
nothing reads; they are left out here, and ignored in files.

Source: Yu et al., "Deep Layer Aggregation", arXiv:1707.06484, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.blocks import ConvBlock, projection

# Channels of the maps of strides 1, 2, 4, 8, 16 and 32.
CHANNELS = (16, 32, 64, 128, 256, 512)


class Dla34(nn.Module):
    """DLA-34 without its classifier; attribute names are those of the published checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = ConvBlock(7, 3, CHANNELS[0])
        self.level0 = ConvBlock(3, CHANNELS[0], CHANNELS[0])
        self.level1 = ConvBlock(3, CHANNELS[0], CHANNELS[1], stride=2)
        self.level2 = Tree(CHANNELS[1], CHANNELS[2], stride=2)
        self.level3 = DoubleTree(CHANNELS[2], CHANNELS[3])
        self.level4 = DoubleTree(CHANNELS[3], CHANNELS[4])
        self.level5 = Tree(CHANNELS[4], CHANNELS[5], stride=2, root_sees_input=True)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W), sides divisible by 32, to the maps of strides 4, 8, 16, 32.

        They have ``CHANNELS[2:]`` channels.
        """
        maps = [self.level2(self.level1(self.level0(self.base_layer(images))))]
        for level in (self.level3, self.level4, self.level5):
            maps.append(level(maps[-1]))
        return maps


class Block(nn.Module):
    """Two 3x3 convolutions, added to a map that is given.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Input cells per output cell.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Map ``x`` (N, in_channels, H, W) to the shape of ``residual``, which is added to it."""
        branch = self.relu1(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(branch)) + residual)


class Tree(nn.Module):
    """Two blocks, and a root that joins both with maps from outside.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Input cells per output cell.
        inherited_channels: Channels of all maps from outside.
        root_sees_input: Whether the root also sees the input, brought to the output's size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        inherited_channels: int = 0,
        *,
        root_sees_input: bool = False,
    ) -> None:
        super().__init__()
        self.root_sees_input = root_sees_input
        self.downsample = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.project = nn.Sequential()
        if in_channels != out_channels:
            self.project = projection(in_channels, out_channels)
        self.tree1 = Block(in_channels, out_channels, stride)
        self.tree2 = Block(out_channels, out_channels)
        inherited_channels += in_channels if root_sees_input else 0
        self.root = ConvBlock(1, 2 * out_channels + inherited_channels, out_channels)

    def forward(self, x: Tensor, inherited: tuple[Tensor, ...] = ()) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        bottom = self.downsample(x)
        first = self.tree1(x, self.project(bottom))
        second = self.tree2(first, first)
        seen = (bottom,) if self.root_sees_input else ()
        return self.root(torch.cat((second, first, *inherited, *seen), dim=1))


class DoubleTree(nn.Module):
    """Two trees in a row that halve the map; the second one's root sees input and first tree.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.downsample = nn.MaxPool2d(2)
        self.tree1 = Tree(in_channels, out_channels, stride=2)
        self.tree2 = Tree(out_channels, out_channels, inherited_channels=in_channels + out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        first = self.tree1(x)
        return self.tree2(first, (self.downsample(x), first))
