"""Tests of detectors/cornernet_saccade.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.cornernet_saccade import CornerNetSaccade
from detectors.heads import HEATMAP_BIAS
from runtime.contract import ATTENTION_NAMES, MAP_NAMES
from tests.detectors.deterministic_weights import build_filled
from tests.detectors.golden_networks import assert_maps_golden, predict, read_state, shapes_of

NAMES = (*MAP_NAMES, *ATTENTION_NAMES)


@pytest.fixture(scope="module")
def saccade() -> nn.Module:
    """The published network with deterministic weights; 0.5 GB, so made once."""
    return build_filled(lambda: CornerNetSaccade(80))


def test_keys_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        model = CornerNetSaccade(80)
    assert shapes_of(model) == {k: row[0] for k, row in read_state("saccade").items()}
    assert sum(p.numel() for p in model.parameters()) == 116_969_339


def test_filled_weights_match_the_golden_sums(saccade):
    rows, state = read_state("saccade"), saccade.state_dict()
    for key in (
        "hg.pre.0.conv.weight",
        "hg.hgs.2.low2.low2.up1.0.bn2.weight",
        "att_modules.2.2.1.weight",
    ):
        _, total, first = rows[key]
        assert state[key].double().sum().item() == pytest.approx(total, rel=1e-9)
        assert state[key].flatten()[0].item() == pytest.approx(first, rel=1e-7)


@pytest.mark.parametrize("size", [127, pytest.param(255, marks=pytest.mark.slow)])
def test_maps_match_the_original(saccade, size):
    assert_maps_golden(predict(saccade, size), "saccade", size, NAMES)


def test_attention_reads_the_levels_of_the_hourglass_in_the_order_of_the_strides():
    with torch.device("meta"):
        maps = CornerNetSaccade(3).eval()(torch.empty(2, 3, 127, 255))
    assert tuple(maps) == NAMES
    sizes = {name: tuple(maps[name].shape) for name in ATTENTION_NAMES}
    assert sizes == {"att0": (2, 1, 8, 16), "att1": (2, 1, 16, 32), "att2": (2, 1, 32, 64)}


def test_training_mode_gives_the_maps_of_every_stack():
    with torch.device("meta"):
        outputs = CornerNetSaccade(3)(torch.empty(2, 3, 127, 127))
    assert [tuple(maps) for maps in outputs] == [NAMES] * 3


def test_attention_starts_quiet():
    with torch.device("meta"):
        heads = CornerNetSaccade(3).att_modules
    assert [len(stack) for stack in heads] == [3, 3, 3]
    biases = [p for name, p in heads.named_parameters() if name.endswith(".1.bias")]
    assert len(biases) == 9
    assert HEATMAP_BIAS < 0
