"""Tests of detectors/resnet.py; the published networks are compared in test_centernet.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.resnet import (
    ResNet18,
    convolved_upsampling,
    plain_conv,
    transposed_upsampling,
)


@pytest.mark.parametrize(
    ("upsampling", "channels"),
    [(transposed_upsampling, 256), (lambda: convolved_upsampling(plain_conv), 64)],
)
def test_one_map_at_a_quarter_of_the_size(upsampling, channels: int) -> None:
    (features,) = ResNet18(upsampling())(torch.randn(2, 3, 64, 96))
    assert features.shape == (2, channels, 16, 24)


def test_every_layer_but_the_first_halves_the_map() -> None:
    network = ResNet18(nn.Sequential()).eval()
    sizes = {}
    for name in ("maxpool", "layer1", "layer2", "layer3", "layer4"):
        module = network.get_submodule(name)
        module.register_forward_hook(lambda *a, n=name: sizes.update({n: tuple(a[2].shape[1:])}))
    (features,) = network(torch.randn(1, 3, 64, 32))
    assert features.shape == (1, 512, 2, 1)
    assert sizes == {
        "maxpool": (64, 16, 8),
        "layer1": (64, 16, 8),
        "layer2": (128, 8, 4),
        "layer3": (256, 4, 2),
        "layer4": (512, 2, 1),
    }


def test_the_given_convolution_stands_before_every_doubling() -> None:
    made = []

    def convolve(in_channels: int, out_channels: int) -> nn.Module:
        made.append((in_channels, out_channels))
        return plain_conv(in_channels, out_channels)

    layers = convolved_upsampling(convolve)
    assert made == [(512, 256), (256, 128), (128, 64)]
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "ConvTranspose2d", "BatchNorm2d", "ReLU"] * 3


def test_no_convolution_before_a_normalisation_has_a_bias() -> None:
    network = ResNet18(transposed_upsampling())
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    assert all(m.bias is None for m in network.modules() if isinstance(m, kinds))
