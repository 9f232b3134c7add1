"""Prediction with a network, and with an artifact, through one call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detectors.predict import model_from_artifact, normalise, predictor_from_network
from detectors.registry import find_spec
from runtime.errors import ArtifactError
from runtime.postprocess import PostprocessOptions
from tests.builders import write_tiny_artifact

SPEC = find_spec("cornernet-nano")
OPTIONS = PostprocessOptions(score_threshold=0.3)


class OneBox(nn.Module):
    """Raw maps with one pair of corners of class 1: cells (2, 4) and (10, 8), 16x16 cells."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = {name: torch.full((1, 3, 16, 16), -9.0) for name in ("tl_heat", "br_heat")}
        maps["tl_heat"][0, 1, 4, 2] = maps["br_heat"][0, 1, 8, 10] = 9.0
        tags = {name: torch.zeros(1, 1, 16, 16) for name in ("tl_tag", "br_tag")}
        offsets = {name: torch.full((1, 2, 16, 16), 0.5) for name in ("tl_off", "br_off")}
        return maps | tags | offsets


def test_cells_become_pixels_of_the_original_image():
    predict = predictor_from_network(OneBox(), SPEC, (64, 64), OPTIONS)
    found = predict(np.zeros((64, 128, 3), np.uint8))  # half the size, 16 black rows above
    assert found.class_ids.tolist() == [1] and found.scores[0] == pytest.approx(1.0, abs=1e-3)
    # Cell 2 + offset 0.5 is network pixel 10, image pixel 20; row 4.5 is 18, less 16, doubled.
    assert found.boxes_xyxy[0].tolist() == pytest.approx([20, 4, 84, 36])


def test_normalise_is_mean_and_deviation_per_channel():
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(1, 2, 2, 3)
    result = normalise(pixels, SPEC)
    assert result.shape == (1, 3, 2, 2) and result.dtype == torch.float32
    expected = (np.array([0, 128, 255]) / 255 - SPEC.mean_bgr) / SPEC.std_bgr
    assert result[0, :, 0, 0].numpy() == pytest.approx(expected, rel=1e-5)


def test_an_artifact_predicts_and_names_its_classes(tmp_path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    model = model_from_artifact(artifact, OPTIONS)
    assert model.label == "tiny.onnx" and len(model.class_names) > 0
    found = model.predict(np.full((48, 64, 3), 200, np.uint8))
    assert found.boxes_xyxy.dtype == np.float32


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.onnx"):
        model_from_artifact(tmp_path / "none.onnx", OPTIONS)
