"""mmdetection's CenterNet on ResNet-18: its names, its maps and its view of a picture.

tests/data/mmdetection holds facts only: the names and shapes of the ``state_dict()`` of mmdetection
3.3.0's own ``ResNet``, ``CTResNetNeck`` and ``CenterNetHead`` (with deformable convolutions under
the names of mmcv's ``ModulatedDeformConv2dPack``), and the maps that they computed, without
deformable convolutions, from weights drawn by those names (every eighth channel of the heatmap).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detectors.checkpoint_mmdetection import MEAN_RGB, STD_RGB
from detectors.checkpoint_mmdetection_centernet import add_biases, rename_keys
from detectors.checkpoints import load_checkpoint
from detectors.normalise import normalise
from detectors.registry import build_detector, find_spec
from runtime.errors import CheckpointError
from tests.detectors.deterministic_weights import draw_state
from tests.detectors.golden_networks import MAP_TOLERANCE, predict

DATA = Path(__file__).parents[1] / "data" / "mmdetection"
PLAIN, DEFORMABLE = "centernet-resnet18-mmdetection", "centernet-resdcn18"
FILES = {PLAIN: "state_centernet_r18.json.gz", DEFORMABLE: "state_centernet_r18_dcnv2.json.gz"}


def published(name: str) -> dict[str, list[int]]:
    """Return mmdetection's keys with their shapes."""
    return dict(json.loads(gzip.decompress((DATA / FILES[name]).read_bytes()))["tensors"])


def drawn_state(name: str) -> dict[str, Tensor]:
    """Return deterministic weights under the published keys."""
    return draw_state((key, tuple(shape)) for key, shape in published(name).items())


def meta_network(name: str, num_classes: int = 80) -> nn.Module:
    """Return a network without weights, for reports alone."""
    with torch.device("meta"):
        return build_detector(name, num_classes)


def save(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"meta": {"dataset_meta": {"CLASSES": ("cup",) * 80}}, "state_dict": state}, path)
    return path


@pytest.mark.parametrize("name", FILES)
def test_every_key_lands_on_a_key_of_ours_with_its_shape(name: str) -> None:
    theirs = published(name)
    ours = {key: theirs[original] for key, original in rename_keys(theirs).items()}
    wanted = {key: list(value.shape) for key, value in meta_network(name).state_dict().items()}
    lacking = {key for key in wanted if key not in ours}
    assert ours == {key: shape for key, shape in wanted.items() if key not in lacking}
    biases = {f"backbone.deconv_layers.{i}.bias" for i in (0, 6, 12)}
    assert lacking == (biases if name == DEFORMABLE else set())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.conv1.weight", "backbone.stem.conv.weight"),
        ("backbone.layer3.0.downsample.1.bias", "backbone.layer3.0.skip.1.bias"),
        ("neck.deconv_layers.2.conv.weight", "backbone.deconv_layers.6.weight"),
        ("neck.deconv_layers.3.bn.bias", "backbone.deconv_layers.10.bias"),
        (
            "neck.deconv_layers.4.conv.conv_offset.bias",
            "backbone.deconv_layers.12.conv_offset_mask.bias",
        ),
        ("bbox_head.heatmap_head.2.bias", "heads.0.hm.2.bias"),
        ("bbox_head.wh_head.0.weight", "heads.0.wh.0.weight"),
        ("bbox_head.offset_head.2.weight", "heads.0.reg.2.weight"),
    ],
)
def test_renames_by_hand(theirs: str, ours: str) -> None:
    assert rename_keys([theirs]) == {ours: theirs}


def test_the_copy_that_averaging_leaves_is_ignored() -> None:
    assert rename_keys(["ema_backbone_conv1_weight", "backbone.bn1.bias"]) == {
        "backbone.stem.bn.bias": "backbone.bn1.bias"
    }


def test_our_network_gives_the_maps_of_mmdetection() -> None:
    state = drawn_state(PLAIN)
    network = meta_network(PLAIN)
    renamed = rename_keys(state)
    network.load_state_dict({ours: state[key] for ours, key in renamed.items()}, assign=True)
    maps = predict(network.eval(), 128)
    with np.load(DATA / "maps_3.3.0_centernet_r18_in128.npz") as golden:
        for name, got in maps.items():
            part = got[:, ::8] if name == "hm" else got
            tolerance = MAP_TOLERANCE * np.abs(golden[name]).max()
            np.testing.assert_allclose(part, golden[name], 0, tolerance, True, name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_and_says_what_was_changed(tmp_path: Path, name: str) -> None:
    state = drawn_state(name)
    network = build_detector(name)
    report = load_checkpoint(network, save(tmp_path / "epoch_28.pth", state))
    assert report.layout == "mmdetection" and report.is_complete
    assert "trained on RGB with other statistics" in report.note
    if name == DEFORMABLE:
        assert not network.backbone.deconv_layers[6].bias.any()
        kernel = state["neck.deconv_layers.2.conv.weight"]
        assert torch.equal(network.backbone.deconv_layers[6].weight, kernel)


def test_a_loaded_network_sees_a_picture_as_mmdetection_does(tmp_path: Path) -> None:
    state = drawn_state(PLAIN)
    network = build_detector(PLAIN).eval()
    load_checkpoint(network, save(tmp_path / "a.pth", state))
    pixels = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (1, 32, 48, 3), np.uint8))
    with torch.inference_mode():
        got = network.backbone.stem(normalise(pixels, find_spec(PLAIN)))
        rgb = (pixels.flip(3).float() - torch.tensor(MEAN_RGB)) / torch.tensor(STD_RGB)
        kernel = state["backbone.conv1.weight"]
        convolved = nn.functional.conv2d(rgb.permute(0, 3, 1, 2), kernel, stride=2, padding=3)
        statistics = [state[f"backbone.bn1.{n}"] for n in ("running_mean", "running_var")]
        affine = [state[f"backbone.bn1.{n}"] for n in ("weight", "bias")]
        want = nn.functional.batch_norm(convolved, *statistics, *affine).relu()
    inside = (..., slice(2, -2), slice(2, -2))  # the frame is seen in another colour
    torch.testing.assert_close(got[inside], want[inside], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("got", "wanted"), [(PLAIN, DEFORMABLE), (DEFORMABLE, PLAIN)])
def test_the_two_are_told_apart(tmp_path: Path, got: str, wanted: str) -> None:
    path = save(tmp_path / "a.pth", drawn_state(got))
    with pytest.raises(CheckpointError, match=f"holds weights of {got}; expected {wanted};"):
        load_checkpoint(meta_network(wanted), path)


def test_it_is_not_taken_for_a_cornernet(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", drawn_state(DEFORMABLE))
    with pytest.raises(CheckpointError, match=f"weights of {DEFORMABLE}; expected cornernet-nano"):
        load_checkpoint(meta_network("cornernet-nano"), path)


def test_another_number_of_classes_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", drawn_state(PLAIN))
    with pytest.raises(CheckpointError, match="weights for 80 classes; expected 3"):
        load_checkpoint(meta_network(PLAIN, 3), path)


def test_lost_keys_are_named_and_no_bias_is_made_for_them(tmp_path: Path) -> None:
    state = drawn_state(DEFORMABLE)
    del state["neck.deconv_layers.2.conv.weight"]
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(meta_network(DEFORMABLE), save(tmp_path / "a.pth", state))
    missing = "backbone.deconv_layers.6.weight, backbone.deconv_layers.6.bias"
    assert f"2 missing ({missing})" in str(caught.value)


def test_a_bias_that_is_there_stays() -> None:
    given = {
        "a.conv_offset_mask.weight": torch.ones(27, 2, 3, 3),
        "a.weight": torch.ones(4, 2, 3, 3),
        "a.bias": torch.ones(4),
    }
    assert torch.equal(add_biases(given)["a.bias"], torch.ones(4))
    del given["a.bias"]
    assert torch.equal(add_biases(given)["a.bias"], torch.zeros(4))
