"""The fire module: the cheap block that CornerNet-Squeeze uses in place of residual blocks.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, section 4 and table 1; after Iandola et al.,
"SqueezeNet", arXiv:1602.07360.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fire(nn.Module):
    """Squeeze to half the channels, then expand by a 1x1 and a depthwise 3x3 convolution.

    Two habits of the published code are kept, since its weights depend on them: there is no ReLU
    between the squeeze and the two expansions, and the skip path exists only where input and
    output agree in shape.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; even.
        stride: Input cells per output cell.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = nn.Conv2d(in_channels, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv_1x1 = nn.Conv2d(half, half, 1, stride, bias=False)
        self.conv_3x3 = nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.has_skip = stride == 1 and in_channels == out_channels
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        squeezed = self.bn1(self.conv1(x))
        expanded = torch.cat((self.conv_1x1(squeezed), self.conv_3x3(squeezed)), dim=1)
        out = self.bn2(expanded)
        return self.relu(out + x if self.has_skip else out)
