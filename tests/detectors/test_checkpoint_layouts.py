"""Tests of detectors/checkpoint_layouts.py."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from detectors.checkpoint_layouts import RENAMES_2018, find_model_name, is_counter, name_layout
from detectors.registry import DETECTORS, build_detector
from tests.detectors.golden_networks import GOLDEN, read_state


def test_renames_are_the_golden_map():
    golden = json.loads((GOLDEN / "keymap_cornernet_to_lite.json").read_text(encoding="utf-8"))
    assert golden["rename"] == RENAMES_2018
    assert not set(golden["unchanged"]) & set(RENAMES_2018)


def test_every_key_of_2018_lands_on_a_key_of_ours():
    layout, ours = name_layout(f"module.{key}" for key in read_state("cornernet"))
    assert layout == "cornernet-2018"
    assert set(ours) == set(read_state("lite_cornernet"))
    assert ours["hg.hgs.0.up1.0.conv1.weight"] == "module.kps.0.up1.0.conv1.weight"
    assert ours["tl_offs.1.1.bias"] == "module.tl_regrs.1.1.bias"
    assert ours["br_tags.0.1.bias"] == "module.br_tags.0.1.bias"


@pytest.mark.parametrize("state", ["lite_cornernet", "squeeze", "nano_6_classes"])
def test_parallel_prefix_is_the_only_difference_to_ours(state):
    keys = set(read_state(state))
    assert name_layout(keys) == ("cornerrt", {key: key for key in keys})
    layout, ours = name_layout(f"module.{key}" for key in keys)
    assert layout == "cornernet-lite"
    assert ours == {key: f"module.{key}" for key in keys}


def test_prefix_on_some_keys_only_is_left_alone():
    assert name_layout(["module.a.weight", "b.weight"])[0] == "cornerrt"


@pytest.mark.parametrize("name", DETECTORS)
def test_models_are_found_by_their_keys(name):
    with torch.device("meta"):
        keys = list(build_detector(name, 3).state_dict())
    assert find_model_name(keys) == name
    assert find_model_name(keys[: int(0.9 * len(keys))]) == name
    assert find_model_name(keys[: len(keys) // 2]) is None
    assert find_model_name(key for key in keys if not is_counter(key)) == name


def test_foreign_keys_belong_to_no_model():
    assert find_model_name(nn.Linear(2, 2).state_dict()) is None
    assert find_model_name([]) is None
