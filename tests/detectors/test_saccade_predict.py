"""Predicting with two looks, through a network and through an artifact."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detectors import evaluation_model
from detectors.evaluate import build_parser
from detectors.predict import EvaluationModel, model_from_artifact, predictor_from_network
from detectors.registry import find_spec
from detectors.saccade_predict import SaccadePredictor, detector_from_network
from runtime.contract import ATTENTION_NAMES, DecodeParams
from runtime.errors import UsageError
from runtime.postprocess import PostprocessOptions
from runtime.saccade import SIGMA
from tests.builders import picture, write_tiny_saccade

SPEC = dataclasses.replace(
    find_spec("cornernet-saccade"), decode=DecodeParams(4, 3, 0.5, 6, drop_border=True)
)
OPTIONS = PostprocessOptions(0.3)


class OneBox(nn.Module):
    """Finds a box in the middle of every picture whose middle is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.batches: list[int] = []

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert not self.training
        self.batches.append(len(images))
        heat = torch.full((len(images), 2, 16, 16), -8.0)
        tl, br = heat.clone(), heat.clone()
        bright = images[:, 0, 32, 32] > 0
        tl[bright, 1, 6, 6] = 8.0
        br[bright, 1, 10, 10] = 8.0
        maps = {"tl_heat": tl, "br_heat": br}
        maps |= {f"{c}_tag": torch.zeros(len(images), 1, 16, 16) for c in ("tl", "br")}
        maps |= {f"{c}_off": torch.zeros(len(images), 2, 16, 16) for c in ("tl", "br")}
        sizes = zip(ATTENTION_NAMES, (4, 8, 16), strict=True)
        return maps | {n: torch.full((len(images), 1, s, s), -9.0) for n, s in sizes}


def test_a_network_with_attention_looks_twice():
    network = OneBox().train()
    predict = predictor_from_network(network, SPEC, (64, 64), OPTIONS)
    assert isinstance(predict, SaccadePredictor)
    found = predict(picture(128, 128))
    assert network.batches[0] == 2
    assert len(network.batches) == 2
    assert found.class_ids.tolist() == [1] * len(found)
    # The larger of the first look's crops sees the whole image: cells 6 to 10 of 16.
    whole = np.float32([48, 48, 80, 80])
    assert np.abs(found.boxes_xyxy - whole).max(axis=1).min() < 1


def test_several_images_are_predicted_one_by_one():
    network = OneBox()
    predict = SaccadePredictor(detector_from_network(network, SPEC, (64, 64)), OPTIONS)
    images = [picture(128, 128), np.zeros((40, 90, 3), np.uint8)]
    bright, dark = predict.predict_batch(images)
    assert len(bright) > 0
    assert len(dark) == 0
    np.testing.assert_array_equal(bright.boxes_xyxy, predict(images[0]).boxes_xyxy)


def test_an_artifact_with_attention_looks_twice(tmp_path: Path):
    model = model_from_artifact(write_tiny_saccade(tmp_path / "a.onnx", attention=0.6), OPTIONS)
    assert isinstance(model.predict, SaccadePredictor)
    assert model.class_names == ("square", "circle")
    assert model.predict.options.sigma == SIGMA
    assert len(model.predict(picture(120, 160))) > 0


def opened(monkeypatch: pytest.MonkeyPatch, *more: str) -> EvaluationModel:
    """Open the model that a command line names, with a network that finds one box."""
    monkeypatch.setattr(evaluation_model, "_load_network", lambda options, classes: OneBox())
    monkeypatch.setattr(evaluation_model, "read_class_names", lambda path: ("a", "b"))
    options = ["--data", "d", "--weights", "w.pkl", "--model", "cornernet-saccade", *more]
    return evaluation_model.open_model(build_parser().parse_args(options))


def test_a_checkpoint_with_attention_looks_twice(monkeypatch: pytest.MonkeyPatch):
    model = opened(monkeypatch)
    assert isinstance(model.predict, SaccadePredictor)
    assert model.class_names == ("a", "b")


def test_the_protocol_of_other_networks_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="cornernet-saccade has a published test of its own"):
        opened(monkeypatch, "--protocol", "published")
    with pytest.raises(UsageError, match="got --flip"):
        opened(monkeypatch, "--flip")


def test_mirrored_looks_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"got --flip .*; drop --flip"):
        model_from_artifact(write_tiny_saccade(tmp_path / "a.onnx"), OPTIONS, flip=True)
