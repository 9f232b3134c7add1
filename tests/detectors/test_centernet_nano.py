"""Tests of detectors/centernet_nano.py."""

from __future__ import annotations

import pytest
import torch

from detectors.centernet_heads import CENTER_MAP_NAMES
from detectors.centernet_nano import CenterNetNano
from detectors.cornernet_nano import CornerNetNano


def count_parameters(kind, num_classes):
    with torch.device("meta"):
        return sum(p.numel() for p in kind(num_classes).parameters())


@pytest.mark.parametrize("num_classes", [6, 80])
def test_it_is_as_large_as_cornernet_nano(num_classes):
    ours, theirs = (count_parameters(kind, num_classes) for kind in (CenterNetNano, CornerNetNano))
    assert ours == pytest.approx(theirs, rel=0.002)


def test_the_body_has_the_keys_of_cornernet_nano():
    bodies = [
        {key for key in kind(2).state_dict() if key.startswith(("stem.", "hourglass.", "conv."))}
        for kind in (CenterNetNano, CornerNetNano)
    ]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("size_hw", [(32, 32), (64, 96)])
def test_evaluation_mode_returns_three_maps_at_a_quarter_of_the_size(size_hw):
    with torch.inference_mode():
        maps = CenterNetNano(4).eval()(torch.randn(2, 3, *size_hw))
    assert tuple(maps) == CENTER_MAP_NAMES
    for name, channels in zip(CENTER_MAP_NAMES, (4, 2, 2), strict=True):
        assert maps[name].shape == (2, channels, size_hw[0] // 4, size_hw[1] // 4)


def test_training_mode_returns_a_list_and_trains_every_parameter():
    model = CenterNetNano(2)
    outputs = model(torch.randn(2, 3, 32, 32))
    assert isinstance(outputs, list)
    assert [tuple(maps) for maps in outputs] == [CENTER_MAP_NAMES]
    sum(value.sum() for value in outputs[0].values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_a_fresh_heatmap_is_quiet():
    with torch.inference_mode():
        maps = CenterNetNano(6).eval()(torch.randn(1, 3, 64, 64))
    assert maps["hm"].sigmoid().mean() < 0.2


def test_a_size_that_its_strides_cannot_carry_is_refused_by_torch():
    with pytest.raises(RuntimeError), torch.inference_mode():
        CenterNetNano(2).eval()(torch.randn(1, 3, 40, 32))
