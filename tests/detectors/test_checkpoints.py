"""Tests of detectors/checkpoints.py."""

from __future__ import annotations

import copy
import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from detectors import checkpoints
from detectors.checkpoint_layouts import RENAMES_2018, is_counter
from detectors.checkpoints import (
    load_checkpoint,
    read_class_names,
    read_metadata,
    save_checkpoint,
)
from detectors.registry import build_detector
from runtime.errors import CheckpointError
from tests.detectors.deterministic_weights import build_filled, draw_state
from tests.detectors.golden_networks import assert_maps_golden, predict, read_state

METADATA = {"model": "cornernet-nano", "class_names": '["disc", "ring"]', "seed": "7"}


def build_nano(num_classes: int = 2) -> nn.Module:
    return build_detector("cornernet-nano", num_classes)


@pytest.fixture(scope="module")
def filled_nano() -> nn.Module:
    return build_filled(build_nano)


@pytest.fixture
def nano(filled_nano) -> nn.Module:
    """A nano of two classes with weights that no fresh one has."""
    return copy.deepcopy(filled_nano)


@pytest.fixture
def saved(nano, tmp_path) -> Path:
    path = tmp_path / "nano.safetensors"
    save_checkpoint(nano, path, METADATA)
    return path


def assert_same_weights(model: nn.Module, other: nn.Module, rtol: float = 0) -> None:
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key], rtol=rtol, atol=rtol, msg=key)


def assert_untouched(load, model: nn.Module, message: str) -> None:
    """Require one line of error with this text, and no change to the model."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(CheckpointError, match=message) as caught:
            load()
    assert not heard  # a command's error is one line, with no warning before it
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def hollow_state(golden: str, prefix: str = "module.") -> dict[str, Tensor]:
    """Return zeros under the keys and shapes of a published file, without their memory."""
    rows = read_state(golden).items()
    return {prefix + key: torch.zeros(()).expand(shape) for key, (shape, *_) in rows}


# --- our own files ---------------------------------------------------------------------------


def test_round_trip(nano, saved):
    model = build_nano()
    report = load_checkpoint(model, saved)
    assert_same_weights(model, nano)
    assert report.layout == "cornerrt"
    assert report.is_complete
    assert set(report.matched) == {key for key in nano.state_dict() if not is_counter(key)}
    assert report.summary() == f"layout cornerrt: {len(report.matched)} tensors match"


def test_path_may_be_text(nano, saved):
    assert load_checkpoint(nano, str(saved)).is_complete


def test_counters_are_not_stored(saved):
    assert not [key for key in load_file(saved) if is_counter(key)]


def test_metadata_round_trip(saved):
    assert read_metadata(saved) == METADATA


def test_metadata_is_empty_where_there_is_none(tmp_path):
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.ones(1)}, bare)
    assert read_metadata(bare) == {}
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pkl")
    assert read_metadata(tmp_path / "a.pkl") == {}


def test_class_names_round_trip(nano, tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(nano, path, {"class_names": '["cup", "pen"]'})
    assert read_class_names(path) == ("cup", "pen")
    save_checkpoint(nano, path, {})
    assert read_class_names(path) is None


@pytest.mark.parametrize("names", ["[1,", '"cup"', "[1, 2]"])
def test_malformed_class_names_are_refused(nano, tmp_path, names):
    path = tmp_path / "a.safetensors"
    save_checkpoint(nano, path, {"class_names": names})
    with pytest.raises(CheckpointError, match="expected a JSON list of names"):
        read_class_names(path)


def test_float16_file_fills_a_float32_model(nano, tmp_path):
    path = tmp_path / "half.safetensors"
    save_checkpoint(nano, path, METADATA, torch.float16)
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    model = build_nano()
    assert load_checkpoint(model, path).is_complete
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert_same_weights(model, nano, rtol=1e-3)


def test_channels_last_model_is_saved(nano, tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(nano.to(memory_format=torch.channels_last), path, {})
    model = build_nano()
    load_checkpoint(model, path)
    assert_same_weights(model, nano)


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), torch.float32), (1e6, torch.float16)])
def test_values_that_cannot_be_stored_are_refused(nano, tmp_path, value, dtype):
    nano.stem[0].conv.weight.data[0, 0, 0, 0] = value
    with pytest.raises(CheckpointError, match=r"stem\.0\.conv\.weight is not finite as torch"):
        save_checkpoint(nano, tmp_path / "a.safetensors", {}, dtype)
    assert not list(tmp_path.iterdir())


def test_other_suffix_is_refused(nano, tmp_path):
    with pytest.raises(CheckpointError, match=r"a\.pth; expected a name ending in \.safetensors"):
        save_checkpoint(nano, tmp_path / "a.pth", {})


def test_failed_write_keeps_the_old_file(nano, saved, monkeypatch):
    def fill_the_disk(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(checkpoints, "save_file", fill_the_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(nano, saved, METADATA)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


# --- published layouts -----------------------------------------------------------------------


@pytest.mark.parametrize("is_zip", [True, False], ids=["torch-1.6-and-later", "torch-0.4"])
def test_lite_layout(nano, tmp_path, is_zip):
    path = tmp_path / "model.pkl"
    state = {f"module.{key}": value for key, value in nano.state_dict().items()}
    torch.save(state, path, _use_new_zipfile_serialization=is_zip)
    model = build_nano()
    report = load_checkpoint(model, path)
    assert (report.layout, report.is_complete) == ("cornernet-lite", True)
    assert len(report.matched) == len(state)
    assert_same_weights(model, nano)


def test_published_squeeze_file_fits(tmp_path):
    path = tmp_path / "CornerNet_Squeeze_500000.pkl"
    torch.save(hollow_state("squeeze"), path)
    model = build_detector("cornernet-squeeze")
    report = load_checkpoint(model, path)
    assert (report.layout, len(report.matched), report.is_complete) == ("cornernet-lite", 990, True)
    assert not any(p.any() for p in model.parameters())


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_2018_file_without_counters_fits(tmp_path):
    path = tmp_path / "CornerNet_500000.pkl"
    state = hollow_state("cornernet")
    torch.save({key: value for key, value in state.items() if not is_counter(key)}, path)
    with torch.device("meta"):  # the report alone: 0.8 GB of weights stay away
        model = build_detector("cornernet-hourglass104")
    report = load_checkpoint(model, path)
    assert (report.layout, len(report.matched), report.is_complete) == ("cornernet-2018", 948, True)


@pytest.mark.slow
def test_2018_file_gives_the_original_maps(tmp_path):
    path = tmp_path / "CornerNet_500000.pkl"
    rows = read_state("cornernet").items()
    state = draw_state((key, tuple(shape)) for key, (shape, *_) in rows)
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    del state
    model = build_detector("cornernet-hourglass104").eval()
    assert load_checkpoint(model, path).layout == "cornernet-2018"
    path.unlink()
    assert_maps_golden(predict(model, 127), "cornernet", 127)


# --- files that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_no_known_model(nano, tmp_path, strict):
    path = tmp_path / "linear.pkl"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    message = r"linear\.pkl has keys such as 'weight' and no weights of cornernet-nano"
    assert_untouched(lambda: load_checkpoint(nano, path, strict), nano, message)


@pytest.mark.parametrize(
    ("golden", "name"),
    [
        ("squeeze", "cornernet-squeeze"),
        ("saccade", "cornernet-saccade"),
        ("cornernet", "cornernet-hourglass104"),
    ],
)
def test_weights_of_another_model_are_named(nano, tmp_path, golden, name):
    path = tmp_path / "other.pkl"
    torch.save(hollow_state(golden), path)
    message = f"holds weights of {name}; expected cornernet-nano"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


def test_published_networks_are_told_apart_although_they_share_keys(tmp_path):
    path = tmp_path / "other.pkl"
    torch.save(hollow_state("lite_cornernet"), path)
    model = build_detector("cornernet-squeeze")
    message = "holds weights of cornernet-hourglass104; expected cornernet-squeeze"
    assert_untouched(lambda: load_checkpoint(model, path), model, message)


def test_wrong_number_of_classes(saved):
    model = build_nano(num_classes=5)
    message = "holds weights for 2 classes; expected 5; build the model with num_classes=2"
    assert_untouched(lambda: load_checkpoint(model, saved), model, message)


def test_partial_match_gives_a_report_when_not_strict(nano, saved):
    model = build_nano(num_classes=5)
    fresh = model.heads["tl_heat"][-1].bias.clone()
    report = load_checkpoint(model, saved, strict=False)
    names = [
        f"heads.{corner}_heat.1.{leaf}" for corner in ("br", "tl") for leaf in ("bias", "weight")
    ]
    assert list(report.misshaped) == names
    assert not report.is_complete
    assert f"4 of another shape ({', '.join(names)})" in report.summary()
    assert torch.equal(model.heads["tl_heat"][-1].bias, fresh)
    assert torch.equal(model.conv.conv.weight, nano.conv.conv.weight)


def test_lost_and_added_keys_are_named(nano, tmp_path):
    path = tmp_path / "model.pkl"
    state = {f"module.{key}": value for key, value in nano.state_dict().items()}
    del state["module.conv.bn.bias"]
    state["module.extra.weight"] = torch.ones(1)
    torch.save(state, path)
    message = r"1 missing \(conv\.bn\.bias\), 1 unexpected \(module\.extra\.weight\)"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)
    report = load_checkpoint(nano, path, strict=False)
    assert report.missing == ("conv.bn.bias",)
    assert report.unexpected == ("module.extra.weight",)


def test_another_shape_is_named(nano, tmp_path):
    path = tmp_path / "model.pkl"
    torch.save(nano.state_dict() | {"conv.bn.bias": torch.ones(3)}, path)
    message = r"does not fit cornernet-nano: .* 1 of another shape \(conv\.bn\.bias\)"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


# --- files that are damaged, unsafe or something else ----------------------------------------


class _CreatesFile:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def write_by_torch(content: object, path: Path) -> None:
    torch.save(content, path)


def write_as_torch_04_did(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_by_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("write", [write_by_torch, write_as_torch_04_did, write_by_pickle])
def test_pickle_that_runs_code_is_refused_and_nothing_runs(nano, tmp_path, write):
    path, trace = tmp_path / "evil.pkl", tmp_path / "it_ran"
    write({"module.conv.conv.weight": torch.ones(1), "module.x": _CreatesFile(trace)}, path)
    message = r"evil\.pkl asks to load .*, which may run code; .* nothing of it ran"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)
    assert not trace.exists()


def test_whole_model_in_a_pickle_is_refused(nano, tmp_path):
    path = tmp_path / "model.pkl"
    torch.save(nano, path)
    message = "asks to load detectors.cornernet_nano.CornerNetNano, which may run code"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


def test_missing_file(nano, tmp_path):
    message = r"no file at .*absent\.safetensors; expected weights"
    assert_untouched(lambda: load_checkpoint(nano, tmp_path / "absent.safetensors"), nano, message)
    assert_untouched(lambda: read_metadata(tmp_path / "absent.safetensors"), nano, message)
    assert_untouched(lambda: load_checkpoint(nano, tmp_path), nano, "no file at")


@pytest.mark.parametrize("suffix", [".safetensors", ".pkl"])
def test_empty_file(nano, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    assert_untouched(lambda: load_checkpoint(nano, path), nano, "is empty; expected weights")
    assert_untouched(lambda: read_metadata(path), nano, "is empty; expected weights")


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "torch-0.4"])
def test_truncated_file(nano, saved, kind, share):
    path = saved if kind == "safetensors" else saved.with_suffix(".pkl")
    if path.suffix == ".pkl":
        torch.save(nano.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: max(1, int(share * len(whole)))])
    message = "cannot be read as weights|is not a pickle of tensors"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


@pytest.mark.parametrize("suffix", [".safetensors", ".pkl"])
@pytest.mark.parametrize(
    "content",
    [b"x", b"<!DOCTYPE html><html>not found</html>", bytes(100), pickle.dumps([1], protocol=4)],
    ids=["one-byte", "html", "zeros", "pickle-protocol-4"],
)
def test_something_else(nano, tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    message = "cannot be read as weights|is not a pickle of tensors"
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


def test_damaged_metadata(nano, saved):
    saved.write_bytes(saved.read_bytes()[:100])
    assert_untouched(lambda: read_metadata(saved), nano, "cannot be read as weights")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "state": {}}, "holds 'epoch' of type int; expected only tensors"),
        ({"epoch": 3, "state_dict": {}}, "holds nothing; expected tensors by name"),
        ([torch.ones(1)], "holds a list; expected tensors by name"),
        ({}, "holds nothing; expected tensors by name"),
        ({1: torch.ones(1)}, "holds 1 of type Tensor; expected only tensors by name"),
    ],
)
def test_pickle_of_something_else(nano, tmp_path, content, message):
    path = tmp_path / "a.pkl"
    torch.save(content, path)
    assert_untouched(lambda: load_checkpoint(nano, path), nano, message)


def test_renames_cover_the_parts_of_the_2018_network():
    parts = {key.split(".")[0] for key in read_state("cornernet")}
    assert parts == set(RENAMES_2018) | {"tl_heats", "br_heats", "tl_tags", "br_tags"}
