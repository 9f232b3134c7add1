"""Iterative aggregation: bring the deep maps of a DLA up to stride 4, one level at a time.

Every step projects a deeper map, doubles its size and joins it with the one above. The two
published networks differ in how: by concatenation and plain convolutions, or by addition and
deformable convolutions.

Source: Yu et al., "Deep Layer Aggregation", arXiv:1707.06484, section 3.1; "Objects as Points",
arXiv:1904.07850, section 5 and figure 6.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detectors.blocks import ConvBlock
from detectors.deformable_conv import DeformableConv
from detectors.dla import CHANNELS, Dla34

# Channels of the maps of strides 4, 8, 16 and 32.
LEVEL_CHANNELS = CHANNELS[2:]


class Aggregation(nn.Module, ABC):
    """Joins maps of falling size, from the largest on.

    Attribute names are those of the published checkpoints.

    Args:
        out_channels: Channels of the largest map and of all results.
        in_channels: Channels of the other maps.
        factors: How much smaller each of them is than the largest map.
    """

    def __init__(
        self, out_channels: int, in_channels: Sequence[int], factors: Sequence[int]
    ) -> None:
        super().__init__()
        self.steps = range(1, len(in_channels) + 1)
        for step, channels, factor in zip(self.steps, in_channels, factors, strict=True):
            self.add_module(f"proj_{step}", self.projection(channels, out_channels))
            self.add_module(f"up_{step}", bilinear_upsample(out_channels, factor))
            self.add_module(f"node_{step}", self.node(out_channels))

    @staticmethod
    @abstractmethod
    def projection(in_channels: int, out_channels: int) -> nn.Module:
        """Return what a deeper map goes through before it is doubled."""

    @staticmethod
    @abstractmethod
    def node(channels: int) -> nn.Module:
        """Return what the joined maps go through."""

    @staticmethod
    @abstractmethod
    def join(above: Tensor, raised: Tensor) -> Tensor:
        """Join two maps (N, out_channels, H, W) for a node."""

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map the largest map and the deeper ones to a result of the largest size for each step.

        The last result has seen every map.
        """
        results = [maps[0]]
        for step, deeper in zip(self.steps, maps[1:], strict=True):
            projected = self.get_submodule(f"proj_{step}")(deeper)
            raised = self.get_submodule(f"up_{step}")(projected)
            joined = self.join(results[-1], raised)
            results.append(self.get_submodule(f"node_{step}")(joined))
        return results[1:]


class ConcatenatingAggregation(Aggregation):
    """Joins by concatenation, with plain convolutions."""

    @staticmethod
    def projection(in_channels: int, out_channels: int) -> nn.Module:
        """Return a 1x1 convolution block."""
        return ConvBlock(1, in_channels, out_channels)

    @staticmethod
    def node(channels: int) -> nn.Module:
        """Return a 3x3 convolution block over both maps."""
        return ConvBlock(3, 2 * channels, channels)

    @staticmethod
    def join(above: Tensor, raised: Tensor) -> Tensor:
        """Put the channels of both maps behind each other."""
        return torch.cat((above, raised), dim=1)


class DeformableAggregation(Aggregation):
    """Joins by addition, with deformable convolutions."""

    @staticmethod
    def projection(in_channels: int, out_channels: int) -> nn.Module:
        """Return a 3x3 deformable block."""
        return DeformableBlock(in_channels, out_channels)

    @staticmethod
    def node(channels: int) -> nn.Module:
        """Return a 3x3 deformable block over the sum."""
        return DeformableBlock(channels, channels)

    @staticmethod
    def join(above: Tensor, raised: Tensor) -> Tensor:
        """Add both maps."""
        return above + raised


class DeformableBlock(nn.Module):
    """Deformable 3x3 convolution, batch normalisation and ReLU; keeps the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = DeformableConv(in_channels, out_channels)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return self.relu(self.bn(self.conv(x)))


class AggregatedLevels(nn.Module):
    """Brings the levels up step by step: the deepest alone, at last three to the largest.

    Args:
        aggregation: ``ConcatenatingAggregation`` or ``DeformableAggregation``.
    """

    def __init__(self, aggregation: type[Aggregation]) -> None:
        super().__init__()
        # Once raised, deeper maps have the channels of the level that they were raised to.
        for rank, level in enumerate(reversed(range(len(LEVEL_CHANNELS) - 1))):
            deeper = [LEVEL_CHANNELS[level + 1]] * (rank + 1)
            self.add_module(
                f"ida_{rank}", aggregation(LEVEL_CHANNELS[level], deeper, [2] * (rank + 1))
            )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Let the maps of strides 4 to 32 see all deeper ones; returns those of strides 4 to 16."""
        maps = list(levels)
        finished: list[Tensor] = []
        for rank in range(len(levels) - 1):
            aggregate = self.get_submodule(f"ida_{rank}")
            maps[-rank - 1 :] = aggregate(maps[-rank - 2 :])
            finished.insert(0, maps[-1])
        return finished


class DlaUp(nn.Module):
    """DLA-34 at stride 4, with plain convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Dla34()
        self.dla_up = AggregatedLevels(ConcatenatingAggregation)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W), sides divisible by 32, to one map (N, 64, H / 4, W / 4)."""
        return self.dla_up(self.base(images))[:1]


class DeformableDlaUp(nn.Module):
    """DLA-34 at stride 4, with deformable convolutions and a last aggregation of three strides."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Dla34()
        self.dla_up = AggregatedLevels(DeformableAggregation)
        self.ida_up = DeformableAggregation(LEVEL_CHANNELS[0], LEVEL_CHANNELS[1:3], (2, 4))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W), sides divisible by 32, to one map (N, 64, H / 4, W / 4)."""
        return self.ida_up(self.dla_up(self.base(images)))[-1:]


def bilinear_upsample(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution, channel by channel, that begins as bilinear enlargement.

    Args:
        channels: Channels in and out.
        factor: Output cells per input cell and axis; even.
    """
    layer = nn.ConvTranspose2d(
        channels,
        channels,
        kernel_size=2 * factor,
        stride=factor,
        padding=factor // 2,
        groups=channels,
        bias=False,
    )
    # Half-pixel centres: a tap's weight falls linearly from the middle of the kernel.
    distance = (torch.arange(2 * factor) - (2 * factor - 1) / 2).abs()
    line = 1 - distance / factor
    with torch.no_grad():
        layer.weight.copy_(torch.outer(line, line).expand_as(layer.weight))
    return layer
