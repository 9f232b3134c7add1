"""Tests of detectors/cornernet.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.blocks import ConvBlock, Residual
from detectors.cornernet import CHANNELS, CornerNet, cornernet_hourglass104
from detectors.hourglass import HourglassSpec, StackedHourglass, nearest_upsample
from runtime.contract import MAP_NAMES
from tests.detectors.deterministic_weights import build_filled
from tests.detectors.golden_networks import assert_maps_golden, predict, read_state, shapes_of


def small_cornernet(stacks: int, num_classes: int = 3) -> CornerNet:
    """Return a CornerNet with shallow hourglasses behind a stem of stride 4."""
    stem = nn.Sequential(ConvBlock(3, 3, 16, stride=2), ConvBlock(3, 16, CHANNELS, stride=2))
    spec = HourglassSpec((CHANNELS, 16), (1, 1), Residual, nearest_upsample)
    return CornerNet(StackedHourglass(stem, spec, stacks), num_classes, head_kernel=1)


@pytest.fixture(scope="module")
def hourglass104() -> nn.Module:
    """The published network with deterministic weights; 0.8 GB, so made once."""
    return build_filled(lambda: cornernet_hourglass104(80))


def test_keys_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        model = cornernet_hourglass104(80)
    assert shapes_of(model) == {k: row[0] for k, row in read_state("lite_cornernet").items()}


def test_filled_weights_match_the_golden_sums(hourglass104):
    rows = read_state("lite_cornernet")
    state = hourglass104.state_dict()
    for key in ("hg.pre.0.conv.weight", "hg.hgs.1.up1.0.bn2.weight", "br_offs.1.1.weight"):
        _, total, first = rows[key]
        assert state[key].double().sum().item() == pytest.approx(total, rel=1e-9)
        assert state[key].flatten()[0].item() == pytest.approx(first, rel=1e-7)


def test_maps_match_the_original(hourglass104):
    assert_maps_golden(predict(hourglass104, 127), "lite_cornernet", 127)


@pytest.mark.slow
def test_maps_match_the_original_at_the_published_size(hourglass104):
    assert_maps_golden(predict(hourglass104, 511), "lite_cornernet", 511)


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_training_mode_returns_the_maps_of_every_stack(stacks):
    outputs = small_cornernet(stacks)(torch.randn(2, 3, 16, 24))
    assert len(outputs) == stacks
    for maps in outputs:
        assert tuple(maps) == MAP_NAMES
        assert maps["tl_heat"].shape == (2, 3, 4, 6)
        assert maps["br_tag"].shape == (2, 1, 4, 6)
        assert maps["tl_off"].shape == (2, 2, 4, 6)


def test_every_parameter_gets_a_gradient():
    model = small_cornernet(2)
    outputs = model(torch.randn(2, 3, 16, 16))
    sum(value.sum() for maps in outputs for value in maps.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_evaluation_mode_runs_the_heads_of_the_last_stack_only():
    model = small_cornernet(2).eval()
    calls = []
    for name, module in model.named_modules():
        if name.startswith(("tl_", "br_")) and name.count(".") == 1:
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    with torch.inference_mode():
        maps = model(torch.randn(1, 3, 16, 16))
    assert tuple(maps) == MAP_NAMES
    expected = {"tl_modules.1", "br_modules.1", *(f"{name}s.1" for name in MAP_NAMES)}
    assert set(calls) == expected
    assert len(calls) == len(expected)


def test_evaluation_and_training_mode_agree_without_batch_statistics():
    model = small_cornernet(2).eval()
    images = torch.randn(1, 3, 16, 16)
    expected = model(images)
    model.training = True  # the convention alone; normalisation stays in evaluation mode
    last = model(images)[-1]
    assert all(torch.equal(last[name], expected[name]) for name in MAP_NAMES)


def test_number_of_classes_changes_heatmaps_alone():
    with torch.device("meta"):
        many, few = shapes_of(cornernet_hourglass104(80)), shapes_of(cornernet_hourglass104(1))
    assert set(many) == set(few)
    changed = {key for key in many if many[key] != few[key]}
    assert changed == {
        f"{c}_heats.{s}.1.{leaf}"
        for c in ("tl", "br")
        for s in (0, 1)
        for leaf in ("weight", "bias")
    }
