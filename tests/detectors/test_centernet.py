"""The published CenterNets against the golden maps, and the contract of every CenterNet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from detectors.blocks import ConvBlock, Residual
from detectors.centernet import CenterNet, HourglassFeatures, centernet_resnet18
from detectors.centernet_decode import decode_centers
from detectors.centernet_heads import CENTER_MAP_NAMES, center_heads, hourglass_center_heads
from detectors.checkpoint_centernet import rename_keys
from detectors.families import CENTERNET
from detectors.hourglass import HourglassSpec, nearest_upsample
from detectors.registry import DETECTORS, build_detector
from tests.detectors.golden_centernets import STATES, filled_centernet
from tests.detectors.golden_networks import (
    GOLDEN,
    MAP_TOLERANCE,
    assert_maps_golden,
    predict,
    read_state,
    shapes_of,
)

CENTERNETS = [name for name, spec in DETECTORS.items() if spec.family is CENTERNET]
# A deformable convolution enlarges rounding errors, as they move where it reads. ResNet's three
# leave float32 and float64 of this very implementation 3e-5 of the largest value apart.
TOLERANCES = {"centernet-resdcn18": 1e-4}
# DLA-34 has eight in a row, which move samples by five cells with these weights, and each
# enlarges an error about tenfold: float32 and float64 differ by a third of the largest value, and
# correlate by 0.96 to 0.99. So do its maps with the original's; larger ones hardly do.
CHAOTIC = "centernet-dla34-dcn"
STEADY = [name for name in STATES if name != CHAOTIC]


@pytest.fixture(scope="module", params=STEADY)
def published(request: pytest.FixtureRequest) -> Iterator[tuple[str, nn.Module]]:
    """A published network by name, with deterministic weights."""
    yield request.param, filled_centernet(request.param)


@pytest.mark.parametrize("name", STATES)
def test_keys_and_shapes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        model = build_detector(name)
    rows = read_state(STATES[name])
    assert shapes_of(model) == {ours: rows[key][0] for ours, key in rename_keys(rows).items()}


def test_filled_weights_match_the_golden_sums(published: tuple[str, nn.Module]) -> None:
    name, model = published
    rows, state = read_state(STATES[name]), model.state_dict()
    for ours, key in rename_keys(rows).items():
        _, total, first = rows[key]
        assert state[ours].double().sum().item() == pytest.approx(total, rel=1e-9, abs=1e-9), key
        assert state[ours].flatten()[0].item() == pytest.approx(first, rel=1e-7), key


def assert_near_golden(name: str, maps: dict[str, np.ndarray], size: int) -> None:
    tolerance = TOLERANCES.get(name, MAP_TOLERANCE)
    assert_maps_golden(maps, STATES[name], size, CENTER_MAP_NAMES, tolerance)


def test_maps_match_the_original(published: tuple[str, nn.Module]) -> None:
    name, model = published
    assert_near_golden(name, predict(model, 128), 128)


@pytest.mark.slow
def test_maps_match_the_original_at_the_published_size(published: tuple[str, nn.Module]) -> None:
    name, model = published
    assert_near_golden(name, predict(model, 512), 512)


def test_maps_of_a_chaotic_network_correlate_with_the_original() -> None:
    maps = predict(filled_centernet(CHAOTIC), 128)
    with np.load(GOLDEN / f"net_{STATES[CHAOTIC]}.npz") as golden:
        wanted = {name: golden[f"in128/{name}"] for name in ("wh", "reg")}
        wanted["hm"] = golden["in128/hm_every4th_channel"]
    for name, want in wanted.items():
        got = maps[name][:, ::4] if name == "hm" else maps[name]
        assert got.shape == want.shape
        assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.9, name


# The golden files of the others have no boxes: their scores nearly tie.
@pytest.mark.parametrize(
    "published", ["centernet-hourglass104", "centernet-resnet18"], indirect=True
)
def test_decoded_maps_match_the_original(published: tuple[str, nn.Module]) -> None:
    name, model = published
    with np.load(GOLDEN / f"net_{STATES[name]}.npz") as golden:
        want = golden["in128/dets_ctdet_K100"]
    maps = {key: torch.from_numpy(value) for key, value in predict(model, 128).items()}
    np.testing.assert_allclose(decode_centers(maps, 100, 3).numpy(), want, rtol=0, atol=2e-4)


def small_centernet(stacks: int, num_classes: int = 3) -> CenterNet:
    """Return a CenterNet with shallow hourglasses behind a stem of stride 4."""
    stem = nn.Sequential(ConvBlock(3, 3, 8, stride=2), ConvBlock(3, 8, 16, stride=2))
    spec = HourglassSpec((16, 24), (1, 1), Residual, nearest_upsample)
    heads = [hourglass_center_heads(num_classes, 16) for _ in range(stacks)]
    return CenterNet(HourglassFeatures(stem, spec, stacks), heads)


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_training_mode_returns_the_maps_of_every_stack(stacks: int) -> None:
    outputs = small_centernet(stacks)(torch.randn(2, 3, 16, 24))
    assert len(outputs) == stacks
    for maps in outputs:
        assert tuple(maps) == CENTER_MAP_NAMES
        assert maps["hm"].shape == (2, 3, 4, 6)
        assert maps["wh"].shape == maps["reg"].shape == (2, 2, 4, 6)


def test_evaluation_mode_runs_the_heads_of_the_last_stack_only() -> None:
    model = small_centernet(2).eval()
    calls = []
    for stack, heads in enumerate(model.heads):
        for name, head in heads.items():
            head.register_forward_hook(lambda *_, at=(stack, name): calls.append(at))
    with torch.inference_mode():
        assert tuple(model(torch.randn(1, 3, 16, 16))) == CENTER_MAP_NAMES
    assert calls == [(1, name) for name in CENTER_MAP_NAMES]


def test_evaluation_and_training_mode_agree_without_batch_statistics() -> None:
    model = small_centernet(2).eval()
    images = torch.randn(1, 3, 16, 16)
    expected = model(images)
    model.training = True  # the convention alone; normalisation stays in evaluation mode
    last = model(images)[-1]
    assert all(torch.equal(last[name], expected[name]) for name in CENTER_MAP_NAMES)


@pytest.mark.parametrize("name", [n for n in CENTERNETS if "hourglass" not in n])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = build_detector(name, 2)
    (maps,) = model(torch.randn(2, 3, 64, 32))
    sum(value.square().sum() for value in maps.values()).backward()
    assert not [key for key, p in model.named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", CENTERNETS)
def test_number_of_classes_changes_the_heatmap_alone(name: str) -> None:
    with torch.device("meta"):
        many, few = shapes_of(build_detector(name, 80)), shapes_of(build_detector(name, 1))
    assert set(many) == set(few)
    changed = {key for key in many if many[key] != few[key]}
    assert changed and all(".hm." in key for key in changed)


def test_fresh_heatmaps_are_quiet() -> None:
    with torch.inference_mode():
        maps = centernet_resnet18(6).eval()(torch.randn(1, 3, 64, 64))
    assert maps["hm"].sigmoid().mean() < 0.2


def test_stacks_and_heads_must_agree() -> None:
    model = CenterNet(nn.Identity(), [center_heads(2, 3, 4)])
    with pytest.raises(ValueError, match="zip"):
        model([torch.zeros(1, 3, 2, 2)] * 2)
