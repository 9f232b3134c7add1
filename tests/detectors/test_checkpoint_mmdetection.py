"""mmdetection's CornerNet: its names, its maps and its view of a picture.

tests/data/mmdetection holds facts only: the names and shapes of a ``state_dict()`` of mmdetection
(equal in 2.4.0, 2.28.2 and 3.3.0), and the last stack's maps that 3.3.0 computed from weights drawn
by those names (every eighth channel of the heatmaps).
"""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.checkpoint_mmdetection import (
    FIRST_MEAN,
    FIRST_WEIGHT,
    MEAN_RGB,
    STD_RGB,
    class_names_of,
    fold_input,
    rename_keys,
)
from detectors.checkpoints import load_checkpoint, read_class_names
from detectors.predict import normalise
from detectors.registry import build_detector, find_spec
from runtime.errors import CheckpointError
from tests.detectors.deterministic_weights import draw_state
from tests.detectors.golden_networks import MAP_TOLERANCE, predict, read_state

DATA = Path(__file__).parents[1] / "data" / "mmdetection"
MODEL = "cornernet-hourglass104"


@functools.cache
def published() -> dict[str, list[int]]:
    """Return mmdetection's keys with their shapes."""
    text = gzip.decompress((DATA / "state_cornernet.json.gz").read_bytes())
    return dict(json.loads(text)["tensors"])


def hollow_state() -> dict[str, Tensor]:
    """Return zeros under the published keys and shapes, without their memory."""
    return {key: torch.zeros(()).expand(shape) for key, shape in published().items()}


def meta_network() -> nn.Module:
    """Return the network without its 0.8 GB of weights, for reports alone."""
    with torch.device("meta"):
        return build_detector(MODEL)


def test_every_key_lands_on_a_key_of_ours_with_its_shape() -> None:
    ours = rename_keys(published())
    wanted = {key: shape for key, (shape, *_) in read_state("lite_cornernet").items()}
    assert {key: published()[theirs] for key, theirs in ours.items()} == wanted
    assert len(ours) == len(published()) == 1128


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.stem.1.0.downsample.1.bias", "hg.pre.1.skip.1.bias"),
        (
            "backbone.hourglass_modules.1.low2.low2.low3.1.downsample.0.weight",
            "hg.hgs.1.low2.low2.low3.1.skip.0.weight",
        ),
        ("backbone.conv1x1s.0.conv.weight", "hg.inters_.0.0.weight"),
        ("backbone.remap_convs.0.bn.running_var", "hg.cnvs_.0.1.running_var"),
        ("bbox_head.br_pool.1.direction2_conv.bn.weight", "br_modules.1.p2_conv1.bn.weight"),
        ("bbox_head.tl_pool.0.aftpool_conv.bn.bias", "tl_modules.0.p_bn1.bias"),
        ("bbox_head.tl_emb.1.1.conv.bias", "tl_tags.1.1.bias"),
        ("bbox_head.br_heat.0.0.conv.weight", "br_heats.0.0.conv.weight"),
        ("neck.weight", "neck.weight"),
    ],
)
def test_renames_by_hand(theirs: str, ours: str) -> None:
    assert rename_keys([theirs]) == {ours: theirs}


@pytest.mark.slow
def test_our_network_gives_the_maps_of_mmdetection() -> None:
    state = draw_state((key, tuple(shape)) for key, shape in published().items())
    network = meta_network()
    network.load_state_dict(
        {ours: state[theirs] for ours, theirs in rename_keys(state).items()}, assign=True
    )
    maps = predict(network.eval(), 127)
    golden = np.load(DATA / "maps_3.3.0_in127.npz")
    for name, got in maps.items():
        want = golden[name.replace("tag", "emb")]
        part = got[:, ::8] if name.endswith("heat") else got
        np.testing.assert_allclose(part, want, 0, MAP_TOLERANCE * np.abs(want).max(), True, name)


# --- what the network is fed with --------------------------------------------------------------


def first_layer(seed: int = 3) -> dict[str, Tensor]:
    """Return a convolution of 4 channels and the mean of the normalisation behind it."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((4, 3, 7, 7), generator=generator, dtype=torch.float64)
    return {FIRST_WEIGHT: weight, FIRST_MEAN: torch.randn(4, generator=generator).double()}


def apply_first(tensors: dict[str, Tensor], images: Tensor) -> Tensor:
    convolved = functional.conv2d(images.double(), tensors[FIRST_WEIGHT], stride=2, padding=3)
    return convolved - tensors[FIRST_MEAN][:, None, None]


def test_the_first_layer_sees_our_input_as_it_saw_mmdetections() -> None:
    pixels = torch.from_numpy(
        np.random.default_rng(5).integers(0, 256, (1, 32, 48, 3), dtype=np.uint8)
    )
    rgb = pixels.flip(3).double()
    theirs = ((rgb - torch.tensor(MEAN_RGB)) / torch.tensor(STD_RGB)).permute(0, 3, 1, 2)
    want = apply_first(first_layer(), theirs)
    got = apply_first(fold_input(first_layer()), normalise(pixels, find_spec(MODEL)))
    inside = (..., slice(2, -2), slice(2, -2))  # no padding under the kernel
    torch.testing.assert_close(got[inside], want[inside], rtol=0, atol=2e-5)
    assert not torch.allclose(got, want, atol=1e-3)  # at the border the padding differs
    spread = want.std()
    assert (got - want).abs().max() < 0.2 * spread


def test_folding_leaves_the_given_tensors_and_partial_files_alone() -> None:
    before = first_layer()
    given = first_layer()
    folded = fold_input(given)
    assert torch.equal(given[FIRST_WEIGHT], before[FIRST_WEIGHT])
    assert not torch.allclose(folded[FIRST_WEIGHT], before[FIRST_WEIGHT])
    partial = {FIRST_WEIGHT: before[FIRST_WEIGHT]}
    assert fold_input(partial) == partial


# --- files -------------------------------------------------------------------------------------


META_2 = {"mmdet_version": "2.28.2", "CLASSES": ("cup", "pen"), "config": "model = ..."}
META_3 = {"dataset_meta": {"classes": ["cup", "pen"], "palette": [(1, 2, 3)]}, "epoch": 210}


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize(
    ("content", "ignored"),
    [
        ({"meta": META_2, "state_dict": hollow_state(), "optimizer": {"state": {}}}, 0),
        (
            {
                "meta": META_2,
                "state_dict": hollow_state() | {"ema_backbone_stem_0_conv_weight": torch.ones(1)},
            },
            1,
        ),
        ({"meta": META_3, "state_dict": hollow_state(), "ema_state_dict": hollow_state()}, 0),
        (hollow_state(), 0),
    ],
    ids=["2.x", "2.x-averaged", "3.x", "bare"],
)
def test_a_published_file_fits(tmp_path: Path, content: dict, ignored: int) -> None:
    path = tmp_path / "cornernet_hourglass104_mstest_8x6_210e_coco.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)  # as mmdetection publishes
    report = load_checkpoint(meta_network(), path)
    assert (report.layout, len(report.matched), report.is_complete) == ("mmdetection", 1128, True)
    assert len(report.ignored) == ignored
    assert "rewritten for BGR" in report.summary()


def test_loading_rewrites_the_first_layer_and_nothing_else(tmp_path: Path) -> None:
    class Stem(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hg = nn.Module()
            self.hg.pre = build_detector("cornernet-squeeze").hg.pre

    key = "backbone.stem.0.conv.weight"
    state = {key: torch.randn(128, 3, 7, 7), "backbone.stem.0.bn.running_mean": torch.zeros(128)}
    state |= {"backbone.stem.0.bn.weight": torch.full((128,), 2.0)}
    path = tmp_path / "part.pth"
    torch.save({"state_dict": state | {"backbone.hourglass_modules.0.x": torch.ones(1)}}, path)
    stem = Stem()
    report = load_checkpoint(stem, path, strict=False)
    assert report.unexpected == ("backbone.hourglass_modules.0.x",)
    loaded = stem.state_dict()
    want = fold_input({FIRST_WEIGHT: state[key], FIRST_MEAN: torch.zeros(128)})
    assert torch.equal(loaded[FIRST_WEIGHT], want[FIRST_WEIGHT])
    assert torch.equal(loaded[FIRST_MEAN], want[FIRST_MEAN])
    assert torch.equal(loaded["hg.pre.0.bn.weight"], torch.full((128,), 2.0))


def test_lost_and_misshaped_keys_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = hollow_state()
    del state["backbone.out_convs.0.bn.bias"]
    state["bbox_head.tl_off.0.1.conv.bias"] = torch.zeros(3)
    state["neck.weight"] = torch.zeros(1)
    torch.save({"meta": {}, "state_dict": state}, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(meta_network(), path)
    for name in ("hg.cnvs.0.bn.bias", "neck.weight", "tl_offs.0.1.bias"):
        assert name in str(caught.value)


def test_another_number_of_classes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = hollow_state()
    for corner in ("tl", "br"):
        for stack in (0, 1):
            prefix = f"bbox_head.{corner}_heat.{stack}.1.conv"
            state[f"{prefix}.weight"] = torch.zeros(3, 256, 1, 1)
            state[f"{prefix}.bias"] = torch.zeros(3)
    torch.save({"state_dict": state}, path)
    with pytest.raises(CheckpointError, match="holds weights for 3 classes; expected 80"):
        load_checkpoint(meta_network(), path)


class HistoryBuffer:
    """As in mmengine: what makes a file of 3.x more than tensors."""


def test_objects_beside_the_weights_are_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "epoch_210.pth"
    hub = {"log_scalars": {"train/loss": HistoryBuffer()}}
    torch.save({"meta": META_3, "state_dict": {"a": torch.ones(1)}, "message_hub": hub}, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(meta_network(), path)
    message = str(caught.value)
    assert "HistoryBuffer, which may run code" in message and "\n" not in message
    command = message.partition('python -c "')[2].partition('"')[0]
    plain = tmp_path / "plain.pth"
    exec(command.replace("plain.pth", str(plain)), {})  # the way out that the message names
    assert torch.load(plain, weights_only=True).keys() == {"a"}


@pytest.mark.parametrize("meta", [META_2, META_3])
def test_classes_are_read_from_meta(tmp_path: Path, meta: dict) -> None:
    path = tmp_path / "a.pth"
    torch.save({"meta": meta, "state_dict": {}}, path)
    assert read_class_names(path) == ("cup", "pen")


@pytest.mark.parametrize(
    "meta", [None, {}, {"CLASSES": None}, {"CLASSES": "cup"}, {"dataset_meta": {"classes": [1]}}, 3]
)
def test_meta_without_classes_names_none(meta: object) -> None:
    assert class_names_of(meta) is None
