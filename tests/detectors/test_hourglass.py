"""Tests of detectors/hourglass.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.blocks import ConvBlock, Residual
from detectors.fire import Fire
from detectors.hourglass import (
    Hourglass,
    HourglassSpec,
    StackedHourglass,
    learned_upsample,
    nearest_upsample,
)


def identity_block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return a block without weights: nothing, or halving by maxima."""
    return nn.MaxPool2d(stride) if stride > 1 else nn.Identity()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_level_adds_what_stayed_above(levels):
    spec = HourglassSpec((1,) * (levels + 1), (1,) * (levels + 1), identity_block, nearest_upsample)
    x = torch.full((1, 1, 8, 16), 3.0)
    maps = Hourglass(spec)(x)
    assert [m.shape[2:] for m in maps] == [(8 >> k, 16 >> k) for k in reversed(range(levels))]
    assert all(torch.equal(m, torch.full_like(m, 3.0 * (k + 2))) for k, m in enumerate(maps))


def test_upper_path_keeps_detail_that_the_lower_path_loses():
    spec = HourglassSpec((1, 1), (1, 1), identity_block, nearest_upsample)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
    assert Hourglass(spec)(x)[-1].flatten().tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("block", [Residual, Fire])
@pytest.mark.parametrize("upsample", [nearest_upsample, learned_upsample])
def test_hourglass_keeps_the_shape(block, upsample):
    spec = HourglassSpec((4, 6, 8), (1, 2, 3), block, upsample)
    maps = Hourglass(spec)(torch.randn(1, 4, 8, 4))
    assert [m.shape for m in maps] == [(1, 6, 4, 2), (1, 4, 8, 4)]


def test_blocks_per_level_and_channels():
    hourglass = Hourglass(HourglassSpec((4, 6, 8), (1, 2, 3), Residual, nearest_upsample))
    assert [len(hourglass.up1), len(hourglass.low1), len(hourglass.low3)] == [1, 1, 1]
    inner = hourglass.low2
    assert [len(inner.up1), len(inner.low1), len(inner.low2), len(inner.low3)] == [2, 2, 3, 2]
    assert inner.low1[0].conv1.stride == (2, 2)
    assert inner.low1[1].conv1.stride == (1, 1)
    assert inner.low3[0].conv1.weight.shape[:2] == (8, 8)
    assert inner.low3[1].conv1.weight.shape[:2] == (6, 8)


def test_size_that_does_not_halve_is_an_error():
    spec = HourglassSpec((2, 2, 2), (1, 1, 1), Residual, nearest_upsample)
    with pytest.raises(RuntimeError, match="size"):
        Hourglass(spec)(torch.randn(1, 2, 6, 8))


def test_upsamples_double():
    x = torch.arange(4.0).view(1, 1, 2, 2)
    assert nearest_upsample(1)(x)[0, 0, 0].tolist() == [0, 0, 1, 1]
    assert not list(nearest_upsample(1).parameters())
    assert learned_upsample(3)(torch.randn(1, 3, 5, 7)).shape == (1, 3, 10, 14)
    assert list(learned_upsample(3).state_dict()) == ["weight", "bias"]


def small_stack(stacks: int) -> StackedHourglass:
    """Return hourglasses of 4 channels behind a stem of stride 2."""
    spec = HourglassSpec((4, 6), (1, 1), Residual, nearest_upsample)
    return StackedHourglass(ConvBlock(3, 3, 4, stride=2), spec, stacks)


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_stack_returns_one_map_per_hourglass(stacks):
    outputs = small_stack(stacks)(torch.randn(2, 3, 8, 12))
    assert [output.features.shape for output in outputs] == [(2, 4, 4, 6)] * stacks
    assert [len(output.levels) for output in outputs] == [1] * stacks


def test_single_stack_has_no_joints():
    keys = small_stack(1).state_dict()
    assert {key.split(".")[0] for key in keys} == {"pre", "hgs", "cnvs"}


def test_joint_merges_the_input_and_the_features_of_the_stack_before():
    model = small_stack(2).eval()
    seen = {}
    model.hgs[1].register_forward_pre_hook(lambda _, args: seen.update(second_input=args[0]))
    images = torch.randn(1, 3, 8, 8)
    features = model(images)[0].features
    merged = model.inters_[0](model.pre(images)) + model.cnvs_[0](features)
    torch.testing.assert_close(seen["second_input"], model.inters[0](merged.relu()))
