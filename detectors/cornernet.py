"""CornerNet as published: a stacked hourglass, two corner modules and six heads per stack.

Source: Law and Deng, "CornerNet", arXiv:1808.01244. Attribute names follow the CornerNet-Lite
release, whose checkpoints load without renaming.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.heads import POOL_DIRECTIONS, CornerModule, corner_heads
from detectors.hourglass import StackedHourglass, StackOutput, hourglass104
from runtime.contract import MAP_NAMES

# Channels of every published CornerNet's feature maps and of its pooled branches.
CHANNELS = 256
POOLED = 128


class CornerNet(nn.Module):
    """A CornerNet on a stacked hourglass of 256 channels.

    Args:
        hourglasses: The backbone.
        num_classes: Channels of the two heatmaps.
        head_kernel: Side of the kernel of each head's hidden layer.
    """

    def forward(self, images: Tensor) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Predict the six raw maps.

        Args:
            images: Normalised float (N, 3, H, W); H + 1 and W + 1 divisible by 128.

        Returns:
            Maps of (H + 1) / stride by (W + 1) / stride cells, heatmaps as logits: ``tl_heat``,
            ``br_heat`` (N, classes, h, w), ``tl_tag``, ``br_tag`` (N, 1, h, w), ``tl_off``,
            ``br_off`` (N, 2, h, w) as x, y. In evaluation mode those of the last stack, the only
            one whose heads run; in training mode a list with one such dict per stack.
        """
        outputs = self.hg(images)
        if self.training:
            return [self._predict(stack, output) for stack, output in enumerate(outputs)]
        return self._predict(len(outputs) - 1, outputs[-1])

    def _predict(self, stack: int, output: StackOutput) -> dict[str, Tensor]:
        """Run one stack's corner modules and heads."""
        corners = {
            "tl": self.tl_modules[stack](output.features),
            "br": self.br_modules[stack](output.features),
        }
        return {
            name: self.get_submodule(f"{name}s.{stack}")(corners[name[:2]]) for name in MAP_NAMES
        }

    def __init__(self, hourglasses: StackedHourglass, num_classes: int, head_kernel: int) -> None:
        super().__init__()
        stacks = len(hourglasses.hgs)
        self.hg = hourglasses
        self.tl_modules = _corner_modules("tl", stacks)
        self.br_modules = _corner_modules("br", stacks)
        heads = [corner_heads(num_classes, CHANNELS, head_kernel) for _ in range(stacks)]
        for name in MAP_NAMES:  # tl_heats, br_heats, tl_tags ...: the published names
            self.add_module(f"{name}s", nn.ModuleList(stack[name] for stack in heads))


def cornernet_hourglass104(num_classes: int) -> CornerNet:
    """Build the CornerNet of the paper: two hourglasses of five levels, 201 M parameters, stride 4.

    Source: section 3.6 for the backbone.
    """
    return CornerNet(StackedHourglass(*hourglass104(), stacks=2), num_classes, head_kernel=3)


def _corner_modules(corner: str, stacks: int) -> nn.ModuleList:
    """Return one corner module per stack."""
    directions = POOL_DIRECTIONS[corner]
    return nn.ModuleList(CornerModule(CHANNELS, POOLED, directions) for _ in range(stacks))
