"""Tests of detectors/centernet_heads.py."""

from __future__ import annotations

import pytest
import torch

from detectors.centernet_heads import CENTER_MAP_NAMES, center_heads, hourglass_center_heads


@pytest.mark.parametrize("heads", [center_heads(3, 8, 5), hourglass_center_heads(3, 8)])
def test_a_head_for_every_map(heads: torch.nn.ModuleDict) -> None:
    assert tuple(heads) == CENTER_MAP_NAMES
    shapes = {name: tuple(head(torch.randn(2, 8, 4, 6)).shape) for name, head in heads.items()}
    assert shapes == {"hm": (2, 3, 4, 6), "wh": (2, 2, 4, 6), "reg": (2, 2, 4, 6)}


@pytest.mark.parametrize("heads", [center_heads(3, 8, 5), hourglass_center_heads(3, 8)])
def test_heatmaps_start_at_a_tenth_and_sizes_at_zero(heads: torch.nn.ModuleDict) -> None:
    biases = {name: head[-1].bias for name, head in heads.items()}
    assert biases["hm"].sigmoid().tolist() == pytest.approx([0.1] * 3, abs=1e-3)
    assert not biases["wh"].any() and not biases["reg"].any()


def test_hidden_channels() -> None:
    assert center_heads(3, 8, 5)["wh"][0].weight.shape == (5, 8, 3, 3)
    assert hourglass_center_heads(3, 8)["wh"][0].conv.weight.shape == (8, 8, 3, 3)
