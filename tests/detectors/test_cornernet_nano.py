"""Tests of detectors/cornernet_nano.py."""

from __future__ import annotations

import pytest
import torch

from detectors.cornernet_nano import CornerNetNano
from runtime.contract import MAP_NAMES
from tests.detectors.golden_networks import read_state, shapes_of


def test_keys_and_shapes_are_those_of_the_shipped_weights():
    with torch.device("meta"):
        model = CornerNetNano(6)
    assert shapes_of(model) == {key: row[0] for key, row in read_state("nano_6_classes").items()}


def test_it_is_small():
    with torch.device("meta"):
        model = CornerNetNano(6)
    assert 1e6 < sum(p.numel() for p in model.parameters()) < 2e6


@pytest.mark.parametrize("size_hw", [(32, 32), (64, 96)])
def test_evaluation_mode_returns_six_maps_at_a_quarter_of_the_size(size_hw):
    model = CornerNetNano(4).eval()
    with torch.inference_mode():
        maps = model(torch.randn(2, 3, *size_hw))
    assert tuple(maps) == MAP_NAMES
    channels = {"heat": 4, "tag": 1, "off": 2}
    for name, value in maps.items():
        assert value.shape == (2, channels[name[3:]], size_hw[0] // 4, size_hw[1] // 4)


def test_training_mode_returns_a_list_and_trains_every_parameter():
    model = CornerNetNano(2)
    outputs = model(torch.randn(2, 3, 32, 32))
    assert isinstance(outputs, list)
    assert [tuple(maps) for maps in outputs] == [MAP_NAMES]
    sum(value.sum() for value in outputs[0].values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_fresh_heatmaps_are_quiet():
    with torch.inference_mode():
        maps = CornerNetNano(6).eval()(torch.randn(1, 3, 64, 64))
    assert maps["tl_heat"].sigmoid().mean() < 0.2
