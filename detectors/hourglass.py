"""Hourglasses: go down, treat the smaller map, come up, add what stayed above; and stacks of them.

Source: Newell et al., "Stacked Hourglass Networks", arXiv:1603.06937; as changed in CornerNet,
arXiv:1808.01244, section 3.6 (strided convolution instead of max pooling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from detectors.blocks import ConvBlock, Residual, projection

# (in_channels, out_channels, stride) -> block
BlockFactory = Callable[[int, int, int], nn.Module]
# channels -> module that doubles height and width
UpsampleFactory = Callable[[int], nn.Module]


@dataclass(frozen=True)
class HourglassSpec:
    """The shape of an hourglass.

    Attributes:
        channels: Channels per level, from the largest map down; one entry more than levels.
        blocks: Blocks per level, same length.
        block: Makes one block.
        upsample: Makes the module that brings a map back to the level above.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    block: BlockFactory
    upsample: UpsampleFactory

    def below(self) -> HourglassSpec:
        """Return the spec of the hourglass inside this one."""
        return HourglassSpec(self.channels[1:], self.blocks[1:], self.block, self.upsample)


def hourglass104() -> tuple[nn.Sequential, HourglassSpec]:
    """Return stem and hourglass of the published 104-layer network, which stacks two; stride 4.

    Source: CornerNet, arXiv:1808.01244, section 3.6.
    """
    channels = (256, 256, 384, 384, 384, 512)
    stem = nn.Sequential(ConvBlock(7, 3, 128, stride=2), Residual(128, channels[0], stride=2))
    return stem, HourglassSpec(channels, (2, 2, 2, 2, 2, 4), Residual, nearest_upsample)


def nearest_upsample(channels: int) -> nn.Module:
    """Return parameter-free doubling by repetition; ``channels`` is unused."""
    return nn.Upsample(scale_factor=2, mode="nearest")


def learned_upsample(channels: int) -> nn.Module:
    """Return doubling by a 4x4 transposed convolution over all channels."""
    return nn.ConvTranspose2d(channels, channels, kernel_size=4, stride=2, padding=1)


class Hourglass(nn.Module):
    """One hourglass; attribute names are those of the published checkpoints.

    The map's height and width must be divisible by 2 to the power of the number of levels.
    """

    def __init__(self, spec: HourglassSpec) -> None:
        super().__init__()
        here, under = spec.channels[:2]
        count, count_under = spec.blocks[:2]
        self.up1 = _chain(spec.block, [here] * (count + 1))
        self.low1 = _chain(spec.block, [here] + [under] * count, stride=2)
        if len(spec.channels) > 2:
            self.low2: nn.Module = Hourglass(spec.below())
        else:
            self.low2 = _chain(spec.block, [under] * (count_under + 1))
        self.low3 = _chain(spec.block, [under] * count + [here])
        self.up2 = spec.upsample(here)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, channels[0], H, W) to the merged map of every level, the smallest first.

        The last one is the hourglass's result and has the shape of ``x``; level by level they
        double in height and width.
        """
        inner = self.low2(self.low1(x))
        below = inner if isinstance(inner, list) else []
        low = self.low3(below[-1] if below else inner)
        return [*below, self.up1(x) + self.up2(low)]


class StackOutput(NamedTuple):
    """What one hourglass of a stack gives.

    Attributes:
        features: What predictions are made from, of the stem's output shape.
        levels: The merged map of every level of the hourglass, the smallest first.
    """

    features: Tensor
    levels: list[Tensor]


class StackedHourglass(nn.Module):
    """A stem and hourglasses in a row, each fed with the features of the one before it.

    Args:
        stem: Maps images to the first hourglass's input, (N, spec.channels[0], H, W).
        spec: The shape of every hourglass.
        stacks: Number of hourglasses.
    """

    def __init__(self, stem: nn.Module, spec: HourglassSpec, stacks: int) -> None:
        super().__init__()
        channels, joints = spec.channels[0], stacks - 1
        self.pre = stem
        self.hgs = nn.ModuleList(Hourglass(spec) for _ in range(stacks))
        self.cnvs = nn.ModuleList(ConvBlock(3, channels, channels) for _ in range(stacks))
        self.inters_ = nn.ModuleList(projection(channels, channels) for _ in range(joints))
        self.cnvs_ = nn.ModuleList(projection(channels, channels) for _ in range(joints))
        self.inters = nn.ModuleList(Residual(channels, channels) for _ in range(joints))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> list[StackOutput]:
        """Map images (N, 3, H, W) to the output of every hourglass."""
        x = self.pre(images)
        outputs = [self._run_stack(0, x)]
        for joint in range(len(self.inters)):
            features = outputs[-1].features
            merged = self.relu(self.inters_[joint](x) + self.cnvs_[joint](features))
            x = self.inters[joint](merged)
            outputs.append(self._run_stack(joint + 1, x))
        return outputs

    def _run_stack(self, stack: int, x: Tensor) -> StackOutput:
        levels = self.hgs[stack](x)
        return StackOutput(self.cnvs[stack](levels[-1]), levels)


def _chain(block: BlockFactory, channels: list[int], stride: int = 1) -> nn.Sequential:
    """Chain blocks through ``channels``; only the first one strides."""
    strides = [stride] + [1] * (len(channels) - 2)
    steps = zip(pairwise(channels), strides, strict=True)
    return nn.Sequential(*[block(a, b, step) for (a, b), step in steps])
