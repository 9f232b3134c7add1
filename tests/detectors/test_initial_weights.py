"""Beginning with the weights of other classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from detectors.checkpoint_layouts import is_counter
from detectors.checkpoints import save_checkpoint
from detectors.initial_weights import CLASS_LAYER, HEAD, load_initial_weights
from detectors.registry import build_detector
from runtime.errors import CheckpointError

OLD, NEW = ("a", "b", "c"), ("x", "y")


def seeded(classes: int, seed: int, name: str = "cornernet-nano") -> nn.Module:
    torch.manual_seed(seed)
    return build_detector(name, classes)


def written(folder: Path, network: nn.Module, names: tuple[str, ...] | None) -> Path:
    path = folder / "old.safetensors"
    metadata = {} if names is None else {"class_names": json.dumps(names)}
    save_checkpoint(network, path, metadata)
    return path


def changed_keys(network: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


@pytest.mark.parametrize("names", [OLD, None])
def test_other_classes_leave_only_the_class_layers_new(
    tmp_path: Path, names: tuple[str, ...] | None
) -> None:
    old, network = seeded(3, 1), seeded(2, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    said = load_initial_weights(network, written(tmp_path, old, names), NEW)
    assert "the last layers of the heatmap heads are new" in said
    assert ("3 other classes" in said) is (names is not None)
    after, source = network.state_dict(), old.state_dict()
    class_layers = {key for key in after if CLASS_LAYER.search(key)}
    assert len(class_layers) == 4
    for key, value in after.items():
        assert torch.equal(value, before[key] if key in class_layers else source[key])


def test_as_many_classes_of_other_names_are_new_too(tmp_path: Path) -> None:
    old, network = seeded(2, 1), seeded(2, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    said = load_initial_weights(network, written(tmp_path, old, ("a", "b")), NEW)
    assert "2 other classes" in said
    assert not any(CLASS_LAYER.search(key) for key in changed_keys(network, before))


@pytest.mark.parametrize("names", [NEW, None])
def test_the_same_classes_keep_everything(tmp_path: Path, names: tuple[str, ...] | None) -> None:
    old, network = seeded(2, 1), seeded(2, 2)
    said = load_initial_weights(network, written(tmp_path, old, names), NEW)
    assert said.startswith("begin with all weights of ")
    assert changed_keys(network, old.state_dict()) == set()


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    network = seeded(2, 2)
    path = tmp_path / "other.safetensors"
    save_checkpoint(nn.Sequential(nn.Linear(2, 2)), path, {})
    with pytest.raises(CheckpointError):
        load_initial_weights(network, path, NEW)


@pytest.mark.parametrize(
    ("theirs", "ours", "new"),
    [
        ("cornernet-nano", "centernet-nano", "new is heads"),
        ("centernet-nano", "cornernet-nano", "new is tl_module, br_module, heads"),
    ],
)
def test_the_other_nano_lends_its_body(tmp_path: Path, theirs: str, ours: str, new: str) -> None:
    old, network = seeded(3, 1, theirs), seeded(2, 2, ours)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    said = load_initial_weights(network, written(tmp_path, old, OLD), NEW)
    assert said.startswith("begin with the body of ") and said.endswith(new)
    source = old.state_dict()
    for key, value in network.state_dict().items():
        if HEAD.search(key):
            assert torch.equal(value, before[key])
        elif not is_counter(key):
            assert key.startswith(("stem.", "hourglass.", "conv."))
            assert torch.equal(value, source[key])


@pytest.mark.parametrize("lost", ["heads.hm.2.bias", "conv.conv.weight"])
def test_a_file_that_lacks_part_of_its_heads_or_body_is_refused(tmp_path: Path, lost: str) -> None:
    old = seeded(2, 1, "centernet-nano")
    assert lost in old.state_dict()
    parent, _, leaf = lost.rpartition(".")
    delattr(old.get_submodule(parent), leaf)
    path = written(tmp_path, old, NEW)
    with pytest.raises(CheckpointError, match=f"1 missing .{lost}"):
        load_initial_weights(seeded(2, 2, "centernet-nano"), path, NEW)


def test_heads_of_which_some_fit_are_refused(tmp_path: Path) -> None:
    old = seeded(2, 1, "centernet-nano")
    old.heads["size"] = old.heads.pop("wh")
    path = written(tmp_path, old, NEW)
    with pytest.raises(CheckpointError, match=r"4 missing .heads\.wh.* 4 unexpected .heads\.size"):
        load_initial_weights(seeded(2, 2, "centernet-nano"), path, NEW)


def test_another_body_is_refused_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, seeded(2, 1, "centernet-resnet18"), NEW)
    with pytest.raises(CheckpointError, match="holds weights of centernet-resnet18; expected cent"):
        load_initial_weights(seeded(2, 2, "centernet-nano"), path, NEW)


@pytest.mark.parametrize(
    "name",
    [
        *("cornernet-nano", "cornernet-squeeze", "centernet-nano"),
        *("centernet-resnet18", "centernet-hourglass104"),
    ],
)
def test_the_class_layers_are_those_that_depend_on_the_number_of_classes(name: str) -> None:
    with torch.device("meta"):
        few, many = (build_detector(name, n).state_dict() for n in (2, 3))
    depends = {key for key in few if few[key].shape != many[key].shape}
    assert {key for key in few if CLASS_LAYER.search(key)} == depends
