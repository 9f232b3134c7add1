"""Tests of detectors/fire.py."""

from __future__ import annotations

import pytest
import torch

from detectors.fire import Fire


def one_channel_fire() -> Fire:
    """Return a fire module of 1 -> 2 channels whose convolutions all multiply by -1."""
    block = Fire(1, 2).eval()
    for conv in (block.conv1, block.conv_1x1, block.conv_3x3):
        torch.nn.init.zeros_(conv.weight)
        centre = conv.weight.shape[-1] // 2
        conv.weight.data[..., centre, centre] = -1
    return block


def test_no_relu_between_squeeze_and_expand():
    out = one_channel_fire()(torch.ones(1, 1, 3, 3))
    torch.testing.assert_close(out, torch.ones(1, 2, 3, 3), rtol=0, atol=1e-4)


def test_ends_in_relu():
    assert not one_channel_fire()(-torch.ones(1, 1, 3, 3)).any()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [(8, 8), (4, 8), (8, 4)])
def test_size_and_depthwise_expansion(channels, stride):
    block = Fire(*channels, stride)
    assert block(torch.randn(2, channels[0], 6, 4)).shape == (
        2,
        channels[1],
        6 // stride,
        4 // stride,
    )
    half = channels[1] // 2
    assert block.conv_3x3.weight.shape == (half, 1, 3, 3)
    assert block.conv_1x1.weight.shape == (half, half, 1, 1)


@pytest.mark.parametrize(
    ("channels", "stride", "has_skip"), [((4, 4), 1, True), ((4, 4), 2, False), ((2, 4), 1, False)]
)
def test_skip_only_where_shapes_agree(channels, stride, has_skip):
    block = Fire(*channels, stride).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, channels[0], 4, 4)
    expected = x if has_skip else torch.zeros(1, channels[1], 4 // stride, 4 // stride)
    torch.testing.assert_close(block(x), expected)


def test_every_parameter_gets_a_gradient():
    block = Fire(4, 4)
    block(torch.randn(2, 4, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in block.parameters())
