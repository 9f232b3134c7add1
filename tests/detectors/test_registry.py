"""Tests of detectors/registry.py."""

from __future__ import annotations

import pytest
import torch

from detectors.families import CENTERNET
from detectors.registry import DETECTORS, build_detector, check_size, find_spec
from runtime.contract import CenterDecodeParams
from runtime.errors import UsageError
from tests.detectors.golden_centernets import STATES as CENTERNETS
from tests.detectors.golden_networks import read_state, shapes_of

STATES = {
    "cornernet-hourglass104": ("lite_cornernet", 80),
    "cornernet-squeeze": ("squeeze", 80),
    "cornernet-saccade": ("saccade", 80),
    "cornernet-nano": ("nano_6_classes", 6),
}


# mmdetection's list of keys is in test_checkpoint_mmdetection_centernet.py, nano's structure in
# test_centernet_nano.py, the other CenterNets' keys are compared in test_centernet.py.
ELSEWHERE = {*CENTERNETS, "centernet-resnet18-mmdetection", "centernet-nano"}


def test_every_detector_has_a_golden_state():
    assert {*STATES, *ELSEWHERE} == set(DETECTORS)


@pytest.mark.parametrize("name", STATES)
def test_keys_and_shapes(name):
    golden, num_classes = STATES[name]
    with torch.device("meta"):
        model = build_detector(name, num_classes)
    assert shapes_of(model) == {key: row[0] for key, row in read_state(golden).items()}


def test_default_is_the_classes_of_coco():
    with torch.device("meta"):
        model = build_detector("cornernet-nano")
    assert model.heads["tl_heat"][-1].out_channels == 80
    assert model.training


@pytest.mark.parametrize("name", DETECTORS)
def test_maps_have_the_size_that_the_spec_promises(name):
    spec = find_spec(name)
    height, width = spec.default_size_hw
    width += spec.size_divisor
    with torch.device("meta"):  # shapes alone: nothing is computed
        maps = build_detector(name, 3).eval()(torch.empty(2, 3, height, width))
    cells = tuple((side + spec.size_remainder) // spec.stride_px for side in (height, width))
    assert tuple(maps) == (*spec.map_names, *spec.attention_names)
    assert all(maps[name].shape[2:] == cells for name in spec.map_names)


@pytest.mark.parametrize("name", DETECTORS)
def test_default_sizes_and_one_step_more_are_accepted(name):
    spec = find_spec(name)
    check_size(name, spec.default_size_hw)
    check_size(name, (spec.size_divisor - spec.size_remainder,) * 2)


@pytest.mark.parametrize(
    ("name", "size_hw", "message"),
    [
        ("cornernet-squeeze", (512, 511), "height 512; expected a multiple of 128 less 1; use 511"),
        ("cornernet-squeeze", (511, 600), "width 600; expected a multiple of 128 less 1; use 639"),
        ("cornernet-hourglass104", (0, 511), "height 0; .* use 127"),
        ("cornernet-hourglass104", (-1, 511), "height -1; .* use 127"),
        ("cornernet-saccade", (256, 255), "height 256; expected a multiple of 32 less 1; use 255"),
        ("cornernet-nano", (256, 250), "width 250; expected a multiple of 32; use 256"),
        ("cornernet-nano", (-32, 256), "height -32; .* use 32"),
        ("cornernet-nano", (0, 256), "height 0; .* use 32"),
        ("centernet-nano", (320, 250), "width 250; expected a multiple of 32; use 256"),
        ("centernet-resnet18", (512, 500), "width 500; expected a multiple of 32; use 512"),
        ("centernet-hourglass104", (511, 512), "height 511; expected a multiple of 128; use 512"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, size_hw, message):
    with pytest.raises(UsageError, match=f"{name} got {message}"):
        check_size(name, size_hw)


@pytest.mark.parametrize("call", [find_spec, build_detector, lambda name: check_size(name, (1, 1))])
def test_unknown_model_lists_those_that_exist(call):
    with pytest.raises(UsageError, match=r"'yolo'.*cornernet-nano, cornernet-saccade"):
        call("yolo")


def test_decoding_follows_the_published_configurations():
    decodes = {name: find_spec(name).decode for name in STATES}
    assert decodes["cornernet-hourglass104"].top_k == 100
    assert decodes["cornernet-hourglass104"].num_dets == 1000
    assert decodes["cornernet-squeeze"].top_k == 20
    assert decodes["cornernet-squeeze"].num_dets == 100
    saccade = decodes["cornernet-saccade"]
    assert (saccade.top_k, saccade.num_dets, saccade.drop_border) == (12, 12, True)
    for name, decode in decodes.items():
        threshold = 0.3 if name == "cornernet-saccade" else 0.5
        assert (decode.nms_kernel, decode.ae_threshold) == (3, threshold)
        assert decode.num_dets <= decode.top_k**2
        assert decode.drop_border is (name == "cornernet-saccade")


def test_centernets_are_tested_at_512_pixels_with_100_boxes():
    specs = {name: spec for name, spec in DETECTORS.items() if spec.family is CENTERNET}
    assert set(specs) == ELSEWHERE
    for name, spec in specs.items():
        side = 320 if name == "centernet-nano" else 512
        assert (spec.default_size_hw, spec.stride_px) == ((side, side), 4)
        assert spec.decode == CenterDecodeParams(100, 3)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_is_decoded_as_its_family_is(name):
    spec = find_spec(name)
    assert spec.decode.family == spec.family.name
