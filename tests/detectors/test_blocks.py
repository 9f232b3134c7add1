"""Tests of detectors/blocks.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from detectors.blocks import BiasedConv, ConvBlock, Residual, projection

# 1 / sqrt(1 + eps): what a fresh batch normalisation multiplies by in evaluation mode.
FRESH_BN = (1 + 1e-5) ** -0.5


@pytest.mark.parametrize(
    ("kernel", "stride", "size", "expected"),
    [
        (3, 1, (5, 7), (5, 7)),
        (3, 2, (8, 6), (4, 3)),
        (7, 2, (127, 63), (64, 32)),
        (1, 1, (1, 1), (1, 1)),
    ],
)
def test_conv_block_size(kernel, stride, size, expected):
    block = ConvBlock(kernel, 3, 4, stride)
    assert block(torch.randn(2, 3, *size)).shape == (2, 4, *expected)


def test_conv_block_is_convolution_normalisation_relu():
    block = ConvBlock(3, 2, 3).eval()
    x = torch.randn(1, 2, 6, 5)
    expected = functional.conv2d(x, block.conv.weight, padding=1).mul(FRESH_BN).relu()
    torch.testing.assert_close(block(x), expected)
    assert set(block.state_dict()) >= {"conv.weight", "bn.weight", "bn.running_mean"}
    assert block.conv.bias is None


@pytest.mark.parametrize("kernel", [1, 3])
def test_biased_conv_has_bias_and_no_normalisation(kernel):
    block = BiasedConv(kernel, 2, 3)
    assert list(block.state_dict()) == ["conv.weight", "conv.bias"]
    x = torch.randn(1, 2, 4, 5)
    expected = functional.conv2d(x, block.conv.weight, block.conv.bias, padding=kernel // 2).relu()
    torch.testing.assert_close(block(x), expected)


def test_residual_skip_is_empty_where_shapes_agree():
    block = Residual(4, 4).eval()
    assert not [key for key in block.state_dict() if key.startswith("skip")]
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize(("channels", "stride"), [((4, 6), 1), ((4, 4), 2), ((4, 6), 2)])
def test_residual_projects_where_shapes_differ(channels, stride):
    block = Residual(*channels, stride).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(1, channels[0], 6, 4)
    expected = functional.conv2d(x, block.skip[0].weight, stride=stride).mul(FRESH_BN).relu()
    torch.testing.assert_close(block(x), expected)


def test_residual_does_not_change_its_input_and_trains():
    block = Residual(2, 2)
    x = torch.randn(2, 2, 4, 4)
    before = x.clone()
    block(x).sum().backward()
    assert torch.equal(x, before)
    assert all(p.grad is not None for p in block.parameters())


def test_projection_has_no_relu():
    assert projection(2, 2).eval()(-torch.ones(1, 2, 3, 3)).shape == (1, 2, 3, 3)
    layer = projection(1, 1).eval()
    torch.nn.init.ones_(layer[0].weight)
    torch.testing.assert_close(layer(-torch.ones(1, 1, 2, 2)), -FRESH_BN * torch.ones(1, 1, 2, 2))


def test_wrong_channel_count_is_an_error():
    with pytest.raises(RuntimeError, match="channels"):
        ConvBlock(3, 3, 4)(torch.zeros(1, 2, 4, 4))
