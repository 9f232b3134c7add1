"""Layers that round: values against NumPy, gradients against the rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detectors.fake_quantize_layers import (
    FakeQuantizedConvolution,
    FrozenBatchNorm,
    InputRounding,
    OutputRounding,
    round_activation,
)
from detectors.int8_plan import ConvolutionScales


def trained_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2).mul_(torch.tensor([-1.0, 1.0]).repeat(channels)[:channels])
        norm.bias.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return norm


def test_activations_take_the_nearest_step_halves_the_even_one_and_saturate():
    x = torch.tensor([0.0, 0.24, 0.25, 0.26, 0.75, -0.75, 63.4, 63.6, 99.0, -64.0, -99.0])
    expected = [0.0, 0.0, 0.0, 0.5, 1.0, -1.0, 63.5, 63.5, 63.5, -64.0, -64.0]
    assert round_activation(x, 0.5).tolist() == expected


def test_gradients_pass_but_not_where_values_were_clipped():
    x = torch.tensor([0.3, 63.4, 99.0, -99.0], requires_grad=True)
    round_activation(x, 0.5).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_a_frozen_normalisation_computes_as_in_evaluation_and_learns():
    norm = trained_norm(3)
    x = torch.randn(2, 3, 4, 4)
    expected = norm.eval()(x)
    frozen = FrozenBatchNorm(norm).train()
    before = norm.running_mean.clone()
    assert torch.equal(frozen(x), expected) and torch.equal(frozen.running_mean, before)
    frozen(x).square().sum().backward()
    assert frozen.weight.grad is not None and frozen.weight is norm.weight
    assert list(frozen.state_dict()) == list(norm.state_dict())


@pytest.mark.parametrize("scales", [(0.01,), (0.01, 0.02, 0.005, 0.03)], ids=["one", "each"])
@pytest.mark.parametrize("kind", ["conv", "grouped", "transposed"])
def test_weights_are_rounded_as_they_are_after_folding(kind, scales):
    torch.manual_seed(0)
    layer = {
        "conv": nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        "grouped": nn.Conv2d(4, 4, 3, padding=1, groups=4),
        "transposed": nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1),
    }[kind]
    norm = trained_norm(4)
    axis = 1 if kind == "transposed" else 0
    factor = FrozenBatchNorm(norm).factor().numpy()
    shape = [1] * 4
    shape[axis] = 4
    steps = np.array(scales, np.float32).reshape([1] * 4 if len(scales) == 1 else shape)
    folded = layer.weight.detach().numpy() * factor.reshape(shape)
    rounded = np.clip(np.rint(folded / steps), -127, 127) * steps
    quantized = FakeQuantizedConvolution(
        layer, ConvolutionScales(0.5, scales), (FrozenBatchNorm(norm), 0)
    )
    got = quantized.rounded_weight().detach().numpy()
    np.testing.assert_allclose(got * factor.reshape(shape), rounded, atol=1e-6)
    lost = np.linalg.norm(rounded - folded) / np.linalg.norm(folded)
    assert quantized.weight_loss() == pytest.approx(lost, rel=1e-3) and lost > 0
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rounded / factor.reshape(shape)))
        x = torch.randn(1, layer.in_channels, 6, 6)
        expected = layer(round_activation(x, 0.5))
        torch.testing.assert_close(quantized(x), expected, atol=1e-5, rtol=1e-5)


def test_a_normalisation_over_two_convolutions_gives_each_its_channels():
    norm = FrozenBatchNorm(trained_norm(6))
    layer = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        layer.weight.copy_((0.1 / norm.factor()[4:6]).view(2, 1, 1, 1))
    quantized = FakeQuantizedConvolution(layer, ConvolutionScales(1.0, (0.1,)), (norm, 4))
    assert quantized.weight_loss() < 1e-5


def test_a_channel_that_is_switched_off_stays_finite():
    norm = trained_norm(2)
    with torch.no_grad():
        norm.weight[0] = 0
    layer = nn.Conv2d(1, 2, 1)
    quantized = FakeQuantizedConvolution(
        layer, ConvolutionScales(1.0, (0.01, 0.01)), (FrozenBatchNorm(norm), 0)
    )
    assert quantized.rounded_weight().isfinite().all()


def test_a_convolution_keeps_its_names_and_learns():
    layer = nn.Conv2d(2, 3, 1)
    quantized = FakeQuantizedConvolution(layer, ConvolutionScales(0.1, (0.01,)), None)
    assert list(quantized.state_dict()) == ["weight", "bias"]
    assert quantized.weight is layer.weight and quantized.bias is layer.bias
    quantized(torch.randn(1, 2, 3, 3)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0 and layer.bias.grad.abs().sum() > 0
    without = FakeQuantizedConvolution(
        nn.Conv2d(2, 3, 1, bias=False), ConvolutionScales(0.1, (0.01,)), None
    )
    assert list(without.state_dict()) == ["weight"]


def test_hooks_round_what_they_are_for():
    x = torch.full((1, 3, 1, 1), 0.3)
    pool = nn.MaxPool2d(1)
    pool.register_forward_pre_hook(InputRounding(0.25))
    assert pool(x).flatten().tolist() == [0.25] * 3 and x.flatten()[0] == pytest.approx(0.3)
    norm = nn.Identity()
    norm.register_forward_hook(OutputRounding(0.25, slice(1, 2)))
    assert norm(x).flatten().tolist() == pytest.approx([0.3, 0.25, 0.3])
