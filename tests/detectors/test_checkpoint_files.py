"""Reading files of weights; what becomes of damaged and unsafe ones is in test_checkpoints.py."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from detectors.checkpoint_files import read_content, read_metadata, read_tensors
from runtime.errors import CheckpointError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def assert_state(tensors: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == STATE.keys()
    assert all(torch.equal(tensors[key], value) for key, value in STATE.items())


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        OrderedDict(STATE),
        {"state_dict": STATE},
        {"epoch": 210, "state_dict": OrderedDict(STATE), "optimizer": {"param_groups": [{}]}},
    ],
    ids=["plain", "ordered", "wrapped", "wrapped-with-more"],
)
def test_tensors_come_out_of_a_wrapper(tmp_path: Path, content: dict) -> None:
    path = tmp_path / "a.pth"
    torch.save(content, path)
    assert_state(read_tensors(path))


def test_safetensors_and_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(STATE, path, metadata={"seed": "7"})
    assert_state(read_tensors(path))
    assert read_metadata(path) == {"seed": "7"}


def test_a_tensor_called_state_dict_is_a_tensor(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"state_dict": torch.ones(1)}, path)
    assert read_tensors(path).keys() == {"state_dict"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "holds nothing"),
        ({"state_dict": {"a": 3}}, "holds 'a' of type int; expected only tensors"),
        ({"weights": STATE}, "holds 'weights' of type dict; expected only tensors"),
        (torch.ones(1), "holds a Tensor; expected tensors by name"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_tensors(path)


def test_content_is_given_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"meta": {"CLASSES": ("cup",)}, "state_dict": {}}, path)
    assert read_content(path) == {"meta": {"CLASSES": ("cup",)}, "state_dict": {}}
    with pytest.raises(CheckpointError, match="no file at"):
        read_content(tmp_path / "none.pth")
