"""Tests of detectors/dla_upsampling.py; whole networks are compared in test_centernet.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from detectors.dla_upsampling import (
    LEVEL_CHANNELS,
    AggregatedLevels,
    Aggregation,
    ConcatenatingAggregation,
    DeformableAggregation,
    DeformableDlaUp,
    DlaUp,
    bilinear_upsample,
)


class Adding(Aggregation):
    """Adds, and changes nothing otherwise."""

    @staticmethod
    def projection(in_channels: int, out_channels: int) -> nn.Module:
        return nn.Conv2d(in_channels, out_channels, 1)

    @staticmethod
    def node(channels: int) -> nn.Module:
        return nn.Identity()

    @staticmethod
    def join(above: Tensor, raised: Tensor) -> Tensor:
        return above + raised


@pytest.mark.parametrize("kind", [ConcatenatingAggregation, DeformableAggregation])
def test_a_result_of_the_largest_size_for_each_deeper_map(kind: type[Aggregation]) -> None:
    aggregate = kind(6, (8, 10), (2, 4))
    maps = [torch.randn(2, 6, 8, 16), torch.randn(2, 8, 4, 8), torch.randn(2, 10, 2, 4)]
    assert [m.shape for m in aggregate(maps)] == [(2, 6, 8, 16)] * 2


def test_each_step_continues_the_one_before() -> None:
    aggregate = Adding(1, (1, 1), (2, 2))
    for step in (1, 2):
        nn.init.ones_(aggregate.get_submodule(f"proj_{step}").weight)
        nn.init.zeros_(aggregate.get_submodule(f"proj_{step}").bias)
        aggregate.get_submodule(f"up_{step}").weight.data.fill_(0.25)  # means of four cells
    maps = [torch.full((1, 1, 8, 8), 1.0), torch.full((1, 1, 4, 4), 10.0)]
    maps.append(torch.full((1, 1, 4, 4), 100.0))
    middles = [m[0, 0, 4, 4].item() for m in aggregate(maps)]
    assert middles == pytest.approx([11, 111])


def test_levels_are_raised_step_by_step() -> None:
    levels = [torch.randn(1, c, 16 >> i, 16 >> i) for i, c in enumerate(LEVEL_CHANNELS)]
    raised = AggregatedLevels(ConcatenatingAggregation).eval()
    maps = raised(levels)
    assert [m.shape for m in maps] == [level.shape for level in levels[:3]]
    changed = raised([*levels[:3], levels[3] + 1])  # the deepest map is seen by all
    assert all(not torch.equal(a, b) for a, b in zip(maps, changed, strict=True))
    changed = raised([levels[0] + 1, *levels[1:]])  # the largest map by the largest only
    assert [torch.equal(a, b) for a, b in zip(maps, changed, strict=True)] == [False, True, True]


@pytest.mark.parametrize("kind", [DlaUp, DeformableDlaUp])
def test_one_map_at_a_quarter_of_the_size(kind: type[nn.Module]) -> None:
    (features,) = kind().eval()(torch.randn(1, 3, 64, 32))
    assert features.shape == (1, 64, 16, 8)


@pytest.mark.parametrize("factor", [2, 4])
def test_upsampling_begins_as_bilinear_enlargement(factor: int) -> None:
    x = torch.randn(1, 3, 6, 5)
    got = bilinear_upsample(3, factor)(x)
    want = nn.functional.interpolate(x, scale_factor=factor, mode="bilinear")
    inside = slice(factor, -factor)  # at the border one repeats cells, the other sees zeros
    torch.testing.assert_close(got[..., inside, inside], want[..., inside, inside])
    assert got.shape == want.shape
