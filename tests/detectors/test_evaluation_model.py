"""From options to a model: which predictor, which classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from detectors.augmented_testing import PublishedPredictor
from detectors.checkpoints import save_checkpoint
from detectors.coco_names import COCO_NAMES
from detectors.evaluation_model import open_model
from detectors.evaluation_options import option_parser
from detectors.predict import LetterboxPredictor
from detectors.registry import build_detector
from runtime.errors import CheckpointError, UsageError
from runtime.suppression import NmsMethod
from tests.builders import write_tiny_artifact


@pytest.fixture(name="weights", scope="module")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    names = {"class_names": json.dumps(["cup", "pen", "key"])}
    save_checkpoint(build_detector("cornernet-nano", 3), path, names)
    return path


def opened(*words: object):
    return open_model(option_parser().parse_args(["--data", "d", *map(str, words)]))


def test_a_checkpoint_is_letterboxed_to_the_default_size(weights: Path) -> None:
    model = opened("--weights", weights, "--flip", "--nms", "hard")
    assert isinstance(model.predict, LetterboxPredictor)
    assert (model.predict.size_hw, model.predict.flip) == ((320, 320), True)
    assert model.predict.options.method.name == "HARD"
    assert model.class_names == ("cup", "pen", "key")
    assert not model.predict.run.model.training
    assert opened("--weights", weights, "--size", 64, 96).predict.size_hw == (64, 96)


def test_the_published_protocol_has_its_own_predictor(weights: Path) -> None:
    model = opened("--weights", weights, "--protocol", "published", "--scales", 0.5, 1)
    assert isinstance(model.predict, PublishedPredictor)
    assert (model.predict.test.scales, model.predict.num_classes) == ((0.5, 1.0), 3)


def test_an_artifact_is_letterboxed_to_its_own_size(tmp_path: Path) -> None:
    model = opened("--artifact", write_tiny_artifact(tmp_path / "tiny.onnx"), "--flip")
    assert (model.predict.size_hw, model.predict.flip) == ((64, 64), True)
    assert (model.class_names, model.label) == (("square", "circle"), "tiny.onnx")


def test_published_weights_without_names_have_cocos(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    torch.save(build_detector("cornernet-nano").state_dict(), path)
    assert opened("--weights", path).class_names == COCO_NAMES


def test_our_weights_without_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(build_detector("cornernet-nano", 3), path, {})
    with pytest.raises(UsageError, match="does not name its classes"):
        opened("--weights", path)


def test_weights_of_another_model_are_named(weights: Path) -> None:
    with pytest.raises(CheckpointError, match="holds weights of cornernet-nano; expected"):
        opened("--weights", weights, "--model", "cornernet-squeeze")


def test_the_published_test_is_refused_where_it_is_not_the_familys(weights: Path) -> None:
    words = ("--weights", weights, "--model", "centernet-resnet18", "--protocol", "published")
    with pytest.raises(
        UsageError, match=r"test of the CornerNets; .* is of family centernet; drop"
    ):
        opened(*words)


@pytest.mark.parametrize(
    ("words", "method"),
    [((), NmsMethod.NONE), (("--nms", "linear"), NmsMethod.LINEAR), (("--flip",), None)],
)
def test_centres_are_not_suppressed_unless_asked_or_looked_at_twice(
    tmp_path: Path, words: tuple[str, ...], method: NmsMethod | None
) -> None:
    path = tmp_path / "centres.safetensors"
    save_checkpoint(build_detector("centernet-nano", 2), path, {"class_names": '["a", "b"]'})
    model = opened("--weights", path, "--model", "centernet-nano", *words)
    assert model.predict.options.method is method
