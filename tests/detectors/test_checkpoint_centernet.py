"""Files of CenterNet's release: their names, and telling them from CornerNet's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from detectors.checkpoint_centernet import LAYOUT, rename_keys
from detectors.checkpoint_layouts import find_model_name, is_counter, name_layout
from detectors.checkpoints import load_checkpoint
from detectors.registry import build_detector
from runtime.errors import CheckpointError
from tests.detectors.golden_centernets import STATES, filled_centernet, published_state
from tests.detectors.golden_networks import read_state


def hollow_state(golden: str, prefix: str = "") -> dict[str, Tensor]:
    """Return zeros under the keys and shapes of a published file, without their memory."""
    rows = read_state(golden).items()
    return {prefix + key: torch.zeros(()).expand(shape) for key, (shape, *_) in rows}


def meta_network(name: str, num_classes: int = 80) -> torch.nn.Module:
    """Return a network without weights, for reports alone."""
    with torch.device("meta"):
        return build_detector(name, num_classes)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pre.1.skip.0.weight", "backbone.pre.1.skip.0.weight"),
        ("kps.1.low2.up1.0.conv1.weight", "backbone.hgs.1.low2.up1.0.conv1.weight"),
        ("inters_.0.1.bias", "backbone.inters_.0.1.bias"),
        ("hm.1.0.conv.weight", "heads.1.hm.0.conv.weight"),
        ("reg.0.1.bias", "heads.0.reg.1.bias"),
        ("wh.2.bias", "heads.0.wh.2.bias"),
        ("conv1.weight", "backbone.stem.conv.weight"),
        ("bn1.running_var", "backbone.stem.bn.running_var"),
        ("layer2.0.downsample.1.bias", "backbone.layer2.0.skip.1.bias"),
        ("layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"),
        (
            "deconv_layers.12.conv_offset_mask.bias",
            "backbone.deconv_layers.12.conv_offset_mask.bias",
        ),
        ("base.base_layer.1.bias", "backbone.base.base_layer.bn.bias"),
        ("base.level3.tree2.root.bn.bias", "backbone.base.level3.tree2.root.bn.bias"),
        ("base.level3.tree1.project.0.weight", "backbone.base.level3.tree1.project.0.weight"),
        ("dla_up.ida_2.proj_3.0.weight", "backbone.dla_up.ida_2.proj_3.conv.weight"),
        ("ida_up.node_2.actf.0.running_mean", "backbone.ida_up.node_2.bn.running_mean"),
        ("ida_up.proj_1.conv.weight", "backbone.ida_up.proj_1.conv.weight"),
    ],
)
def test_renames_by_hand(theirs: str, ours: str) -> None:
    assert rename_keys([theirs]) == {ours: theirs}


@pytest.mark.parametrize("key", ["base.fc.weight", "base.level4.project.1.running_mean"])
def test_weights_that_nothing_uses_are_left_out(key: str) -> None:
    assert rename_keys([key]) == {}


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", STATES)
def test_a_published_file_is_recognised_and_fits(tmp_path: Path, name: str, prefix: str) -> None:
    path = tmp_path / "ctdet_coco.pth"
    state = hollow_state(STATES[name], prefix)
    torch.save({"epoch": 140, "state_dict": state, "optimizer": {"lr": 0.1}}, path)
    report = load_checkpoint(meta_network(name), path)
    assert report.layout == LAYOUT and report.is_complete
    assert len(report.matched) + len(report.ignored) == len(state)
    unused = sum("base.fc." in key or ".project." in key for key in report.ignored)
    assert len(report.ignored) == unused == (14 if "dla34" in name else 0)


def test_loading_gives_the_network_that_the_golden_data_knows(tmp_path: Path) -> None:
    name, path = "centernet-resnet18", tmp_path / "ctdet_coco_resnet18.pth"
    torch.save({"state_dict": published_state(name)}, path)
    model = build_detector(name)
    load_checkpoint(model, path)
    expected = filled_centernet(name).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_our_own_names_are_no_layout_of_the_release() -> None:
    keys = list(meta_network("centernet-dla34").state_dict())
    assert name_layout(keys) == ("cornerrt", {key: key for key in keys})


@pytest.mark.parametrize("name", STATES)
def test_networks_are_told_apart_by_their_keys(name: str) -> None:
    _, ours = name_layout(read_state(STATES[name]))
    assert find_model_name(key for key in ours if not is_counter(key)) == name


@pytest.mark.parametrize(
    ("golden", "prefix", "got", "wanted"),
    [
        ("cornernet", "module.", "cornernet-hourglass104", "centernet-hourglass104"),
        ("lite_cornernet", "module.", "cornernet-hourglass104", "centernet-hourglass104"),
        ("squeeze", "module.", "cornernet-squeeze", "centernet-resnet18"),
        ("ct_hourglass", "", "centernet-hourglass104", "cornernet-hourglass104"),
        ("ct_hourglass", "module.", "centernet-hourglass104", "cornernet-hourglass104"),
        ("ct_dla34", "", "centernet-dla34-dcn", "cornernet-nano"),
        ("ct_dla34", "", "centernet-dla34-dcn", "centernet-dla34"),
        ("ct_resdcn18", "", "centernet-resdcn18", "centernet-resnet18"),
        ("ct_res18", "", "centernet-resnet18", "centernet-resnet18-mmdetection"),
    ],
)
def test_weights_of_another_network_are_named(
    tmp_path: Path, golden: str, prefix: str, got: str, wanted: str
) -> None:
    path = tmp_path / "other.pth"
    torch.save({"state_dict": hollow_state(golden, prefix)}, path)
    message = f"holds weights of {got}; expected {wanted}; choose the model {got}"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(meta_network(wanted), path)


@pytest.mark.parametrize("name", ["centernet-resnet18", "centernet-hourglass104"])
def test_another_number_of_classes_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ctdet_pascal.pth"
    torch.save({"state_dict": hollow_state(STATES[name])}, path)
    message = "holds weights for 80 classes; expected 20; build the model with num_classes=80"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(meta_network(name, 20), path)


def test_lost_and_added_keys_are_named_as_the_file_and_the_model_do(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = hollow_state("ct_res18", "module.")
    del state["module.layer2.0.downsample.0.weight"]
    state["module.hps.2.bias"] = torch.zeros(34)
    torch.save({"state_dict": state}, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(meta_network("centernet-resnet18"), path)
    assert "1 missing (backbone.layer2.0.skip.0.weight)" in str(caught.value)
    assert "1 unexpected (module.hps.2.bias)" in str(caught.value)
