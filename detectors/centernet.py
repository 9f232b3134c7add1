"""CenterNet: an object is the centre of its box, with the box's size beside it.

One class for all backbones: each gives feature maps at stride 4, one per stack, and every stack has
three heads. Published files have other names; see ``detectors.checkpoint_centernet``.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from detectors.centernet_heads import center_heads, hourglass_center_heads
from detectors.deformable_conv import DeformableConv
from detectors.dla_upsampling import LEVEL_CHANNELS, DeformableDlaUp, DlaUp
from detectors.hourglass import StackedHourglass, hourglass104
from detectors.resnet import (
    CONVOLVED_CHANNELS,
    TRANSPOSED_CHANNELS,
    ConvFactory,
    ResNet18,
    convolved_upsampling,
    plain_conv,
    transposed_upsampling,
)

# Channels between the two convolutions of a head (the releases' head_conv).
RESNET_HIDDEN = 64
DLA_HIDDEN = 256


class CenterNet(nn.Module):
    """A CenterNet on any backbone.

    Args:
        backbone: Maps images to a list of feature maps, one per stack.
        heads: For each stack its heads, by the names of ``CENTER_MAP_NAMES``.
    """

    def forward(self, images: Tensor) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Predict the three raw maps.

        Args:
            images: Normalised float (N, 3, H, W); H and W divisible by 32, by 128 for hourglasses.

        Returns:
            Maps of H / 4 by W / 4 cells: ``hm`` (N, classes, h, w) as logits, ``wh`` (N, 2, h, w)
            width and height in cells, ``reg`` (N, 2, h, w) offset of the centre as x, y. In
            evaluation mode those of the last stack, the only one whose heads run; in training mode
            a list with one such dict per stack.
        """
        features = self.backbone(images)
        if self.training:
            return [_predict(*stack) for stack in zip(self.heads, features, strict=True)]
        return _predict(self.heads[-1], features[-1])

    def __init__(self, backbone: nn.Module, heads: Sequence[nn.ModuleDict]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(heads)


class HourglassFeatures(StackedHourglass):
    """CornerNet's stacked hourglass, of which only the features at stride 4 are used."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (N, 3, H, W) to the features (N, C, H / 4, W / 4) of every stack."""
        return [output.features for output in super().forward(images)]


def centernet_hourglass104(num_classes: int) -> CenterNet:
    """Build the largest published CenterNet: the two hourglasses of CornerNet, 191 M parameters."""
    stem, spec = hourglass104()
    stacks = 2
    heads = [hourglass_center_heads(num_classes, spec.channels[0]) for _ in range(stacks)]
    return CenterNet(HourglassFeatures(stem, spec, stacks), heads)


def centernet_resnet18(num_classes: int) -> CenterNet:
    """Build the CenterNet on ResNet-18 with transposed convolutions, 15.8 M parameters."""
    heads = center_heads(num_classes, TRANSPOSED_CHANNELS[-1], RESNET_HIDDEN)
    return CenterNet(ResNet18(transposed_upsampling()), [heads])


def centernet_resdcn18(num_classes: int) -> CenterNet:
    """Build the CenterNet on ResNet-18 with deformable convolutions, 14.4 M parameters."""
    return _convolved_resnet18(num_classes, DeformableConv)


def centernet_resnet18_mmdetection(num_classes: int) -> CenterNet:
    """Build what mmdetection calls CenterNet on ResNet-18 without deformable convolutions.

    It is ``centernet_resdcn18`` with plain convolutions, not ``centernet_resnet18``.

    Source: mmdetection 3.3, configs/centernet/centernet_r18_8xb16-crop512-140e_coco.py.
    """
    return _convolved_resnet18(num_classes, plain_conv)


def centernet_dla34(num_classes: int) -> CenterNet:
    """Build the CenterNet on DLA-34 with plain convolutions ("dlav0"), 18 M parameters."""
    return CenterNet(DlaUp(), [center_heads(num_classes, LEVEL_CHANNELS[0], DLA_HIDDEN)])


def centernet_dla34_dcn(num_classes: int) -> CenterNet:
    """Build the CenterNet on DLA-34 with deformable convolutions, 20 M parameters."""
    return CenterNet(DeformableDlaUp(), [center_heads(num_classes, LEVEL_CHANNELS[0], DLA_HIDDEN)])


def _convolved_resnet18(num_classes: int, convolve: ConvFactory) -> CenterNet:
    heads = center_heads(num_classes, CONVOLVED_CHANNELS[-1], RESNET_HIDDEN)
    return CenterNet(ResNet18(convolved_upsampling(convolve)), [heads])


def _predict(heads: nn.ModuleDict, features: Tensor) -> dict[str, Tensor]:
    """Run one stack's heads."""
    return {name: head(features) for name, head in heads.items()}
