"""Tests of finding a detector's weights and class names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from detectors.checkpoints import LoadReport, save_checkpoint
from detectors.coco_names import COCO_NAMES
from detectors.registry import SHIPPED_WEIGHTS, build_detector
from export.detector_source import DetectorSource, load_detector
from runtime.atomic_file import sha256_of
from runtime.errors import CheckpointError, UsageError
from tests.export.conftest import CLASS_NAMES

NANO = "cornernet-nano"


def save_nano(path: Path, classes: int, **metadata: str) -> Path:
    save_checkpoint(build_detector(NANO, classes), path, metadata)
    return path


def test_weights_bring_class_names_and_provenance(nano_weights: Path) -> None:
    loaded = load_detector(DetectorSource(NANO, nano_weights))
    assert loaded.class_names == CLASS_NAMES
    assert loaded.weights_step.step == "weights"
    assert loaded.weights_step.sha256 == sha256_of(nano_weights)
    assert loaded.weights_step.note == "python -m train"
    assert not loaded.network.training


def test_provenance_says_what_loading_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_nano(tmp_path / "c.safetensors", 80)
    report = LoadReport("mmdetection", (), (), (), (), note="the first layer was rewritten")
    monkeypatch.setattr("export.detector_source.load_checkpoint", lambda *_: report)
    step = load_detector(DetectorSource(NANO, path)).weights_step
    assert step.note == "layout mmdetection; the first layer was rewritten"


def test_loaded_network_holds_the_weights(nano_weights: Path) -> None:
    image = torch.full((1, 3, 32, 32), 0.5)
    with torch.inference_mode():
        first = load_detector(DetectorSource(NANO, nano_weights)).network(image)
        again = load_detector(DetectorSource(NANO, nano_weights)).network(image)
        other = load_detector(DetectorSource(NANO, random_seed=0, num_classes=6)).network(image)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first["tl_tag"], other["tl_tag"])


def test_weights_without_names_get_coco_or_numbers(tmp_path: Path) -> None:
    coco = load_detector(DetectorSource(NANO, save_nano(tmp_path / "c.safetensors", 80)))
    assert coco.class_names == COCO_NAMES
    path = save_nano(tmp_path / "two.safetensors", 2)
    two = load_detector(DetectorSource(NANO, path, num_classes=2))
    assert two.class_names == ("class 0", "class 1")


def test_coco_names_are_80_different_ones() -> None:
    assert len(COCO_NAMES) == len(set(COCO_NAMES)) == 80
    assert (COCO_NAMES[0], COCO_NAMES[-1]) == ("person", "toothbrush")


def test_random_weights_follow_their_seed() -> None:
    first, again, other = (
        load_detector(DetectorSource(NANO, random_seed=seed)).network.state_dict()
        for seed in (3, 3, 4)
    )
    key = "stem.0.conv.weight"
    torch.testing.assert_close(first[key], again[key], rtol=0, atol=0)
    assert not torch.equal(first[key], other[key])


def test_random_weights_leave_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    want = torch.rand(1)
    torch.manual_seed(7)
    load_detector(DetectorSource(NANO, random_seed=3))
    assert torch.rand(1) == want


def test_shipped_weights_are_named_for_nano_only() -> None:
    assert set(SHIPPED_WEIGHTS) == {NANO}
    with pytest.raises(UsageError, match="cornernet-squeeze got no weights; expected --weights"):
        load_detector(DetectorSource("cornernet-squeeze"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DetectorSource("cornernet-giant"), "unknown model 'cornernet-giant'"),
        (DetectorSource(NANO, Path("w.safetensors"), random_seed=1), "expected one of them"),
    ],
)
def test_contradicting_options_are_refused(source: DetectorSource, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_detector(source)


def test_another_number_of_classes_is_refused(nano_weights: Path) -> None:
    with pytest.raises(UsageError, match=r"got --num-classes 5; .* has 6 classes"):
        load_detector(DetectorSource(NANO, nano_weights, num_classes=5))


@pytest.mark.parametrize("names", ["not json", json.dumps({"a": 1}), json.dumps([1, 2])])
def test_malformed_class_names_are_refused(tmp_path: Path, names: str) -> None:
    path = save_nano(tmp_path / "w.safetensors", 2, class_names=names)
    with pytest.raises(CheckpointError, match="expected a JSON list of names"):
        load_detector(DetectorSource(NANO, path))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file at"):
        load_detector(DetectorSource(NANO, tmp_path / "none.safetensors"))
