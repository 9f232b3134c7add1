"""Prediction with a network, and with an artifact, through one call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detectors.predict import (
    ArtifactRunner,
    LetterboxPredictor,
    NetworkRunner,
    model_from_artifact,
    normalise,
    predictor_from_network,
    run_with_mirror,
)
from detectors.registry import build_detector, find_spec
from runtime.backends import open_backend
from runtime.errors import ArtifactError
from runtime.postprocess import PostprocessOptions
from tests.builders import picture, write_tiny_artifact

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


def draw_images(count: int = 3) -> list[np.ndarray]:
    """Draw images of different sizes."""
    rng = np.random.default_rng(4)
    sizes = [(64, 64), (48, 80), (90, 30)][:count]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_a_batch_gives_what_single_images_give():
    torch.manual_seed(3)
    network = build_detector("cornernet-nano", 3)
    options = PostprocessOptions(score_threshold=0.01)
    predict = predictor_from_network(network, SPEC, (64, 64), options)
    images = draw_images()
    together = predict.predict_batch(images)
    assert sum(map(len, together)) > 0
    for found, image in zip(together, images, strict=True):
        alone = predict(image)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes_xyxy[:3], alone.boxes_xyxy[:3], atol=1e-2)
    assert not network.training


class LeftOnly(nn.Module):
    """Finds cells (2, 4) to (6, 8) where the left half of a 64 x 64 picture is the brighter."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        count = len(images)
        left_is_brighter = images[..., :32].mean((1, 2, 3)) > images[..., 32:].mean((1, 2, 3))
        score = torch.where(left_is_brighter, 9.0, -9.0)
        maps = {name: torch.full((count, 1, 16, 16), -9.0) for name in ("tl_heat", "br_heat")}
        maps["tl_heat"][:, 0, 4, 2] = maps["br_heat"][:, 0, 8, 6] = score
        tags = {name: torch.zeros(count, 1, 16, 16) for name in ("tl_tag", "br_tag")}
        offsets = {name: torch.zeros(count, 2, 16, 16) for name in ("tl_off", "br_off")}
        return maps | tags | offsets


def test_what_the_mirrored_picture_shows_is_mirrored_back():
    bright_right = np.zeros((64, 64, 3), np.uint8)
    bright_right[:, 32:] = 255
    options = PostprocessOptions(score_threshold=0.5)
    runner = NetworkRunner(LeftOnly(), SPEC)
    assert len(LetterboxPredictor(runner, (64, 64), options)(bright_right)) == 0
    found = LetterboxPredictor(runner, (64, 64), options, flip=True)(bright_right)
    # Cells 2 to 6 of 16, mirrored 10 to 14, in pixels 40 to 56.
    assert found.boxes_xyxy.tolist() == [[40, 16, 56, 32]]


def test_mirrored_rows_follow_those_of_their_own_image():
    bright_left = np.zeros((64, 64, 3), np.uint8)
    bright_left[:, :32] = 255
    canvases = np.stack([bright_left, bright_left[:, ::-1]])
    found = run_with_mirror(NetworkRunner(LeftOnly(), SPEC), canvases, flip=True)
    assert found.rows.shape == (2, 2 * SPEC.decode.num_dets, 8)
    best = [rows[np.argmax(rows[:, 4]), :4].tolist() for rows in found.rows]
    assert best == [[2, 4, 6, 8], [10, 4, 14, 8]]


def test_a_runner_adds_up_its_time():
    runner = NetworkRunner(OneBox(), SPEC)
    assert runner.seconds == 0
    runner(np.zeros((1, 64, 64, 3), np.uint8))
    first = runner.seconds
    runner(np.zeros((1, 64, 64, 3), np.uint8))
    assert 0 < first < runner.seconds


def test_an_artifact_is_run_picture_by_picture(tmp_path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    runner = ArtifactRunner(open_backend(artifact))
    white, black = np.full((64, 64, 3), 255, np.uint8), np.zeros((64, 64, 3), np.uint8)
    found = runner(np.stack([white, black]))
    assert found.rows.shape == (2, 3, 8) and found.grid_hw == (64, 64)
    np.testing.assert_allclose(found.rows[0, :, 4], [1.0, 0.8, 0.6])
    np.testing.assert_allclose(found.rows[0, :, 7], [0, 1, 0])
    assert not found.rows[1, :, 4].any()


def test_an_artifact_is_looked_at_mirrored_too(tmp_path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    options = PostprocessOptions(score_threshold=0.5)
    plain = model_from_artifact(artifact, options).predict(picture(64, 64, 230))
    mirrored = model_from_artifact(artifact, options, flip=True).predict(picture(64, 64, 230))
    boxes = plain.boxes_xyxy.tolist()
    assert [4.0, 20.0, 24.0, 44.0] in boxes
    # The tiny model gives the same boxes for every picture: mirrored they are 64 - x.
    assert [40.0, 20.0, 60.0, 44.0] in mirrored.boxes_xyxy.tolist()
    assert [40.0, 20.0, 60.0, 44.0] not in boxes


def test_an_artifact_predicts_and_names_its_classes(tmp_path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    model = model_from_artifact(artifact, OPTIONS)
    assert model.label == "tiny.onnx" and len(model.class_names) > 0
    found = model.predict(np.full((48, 64, 3), 200, np.uint8))
    assert found.boxes_xyxy.dtype == np.float32


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.onnx"):
        model_from_artifact(tmp_path / "none.onnx", OPTIONS)
