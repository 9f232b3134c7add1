"""The convolution blocks that every network of the family is built from.

Attribute names (``conv``, ``bn``, ``conv1``, ``bn1``, ``skip`` ...) are those of the published
checkpoints: renaming one breaks the loading of every released weight.
"""

from __future__ import annotations

from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and ReLU; keeps the size at stride 1.

    Args:
        kernel: Side of the square kernel, in cells; odd.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Input cells per output cell.
    """

    def __init__(self, kernel: int, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        return self.relu(self.bn(self.conv(x)))


class BiasedConv(nn.Module):
    """Convolution with bias and ReLU, the hidden layer of a prediction head; keeps the size.

    Args:
        kernel: Side of the square kernel, in cells; odd.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, kernel: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return self.relu(self.conv(x))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a skip path that is empty where shapes already agree.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Input cells per output cell.

    Source: He et al., "Deep Residual Learning", arXiv:1512.03385, figure 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.skip = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.skip = projection(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        branch = self.relu1(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return self.relu(branch + self.skip(x))


def projection(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Return a 1x1 convolution with batch normalisation, for paths that end in an addition."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
