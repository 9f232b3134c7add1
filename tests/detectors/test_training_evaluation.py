"""Average precision and pictures of the averaged weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from detectors.checkpoints import load_checkpoint
from detectors.dataset import CocoSet, read_coco
from detectors.shapes import ShapesSpec, write_dataset
from detectors.stop_request import StopRequest
from detectors.trainer import Trainer
from detectors.training_evaluation import score_average, show_pictures
from tests.detectors.tiny_training import tiny_options

WEIGHTS = Path(__file__).resolve().parents[2] / "detectors/weights/cornernet-nano.safetensors"


@pytest.fixture(name="coco", scope="module")
def coco_set(shapes: Path) -> CocoSet:
    return read_coco(shapes)


@pytest.fixture(name="trainer", scope="module")
def half_trained() -> Trainer:
    """A trainer whose average knows Shapes and whose network in training does not."""
    trainer = Trainer(tiny_options(size_hw=(128, 128)), 6)
    load_checkpoint(trainer.average.network, WEIGHTS)
    return trainer


class Board:
    """Keeps the pictures that TensorBoard would get."""

    def __init__(self) -> None:
        self.pictures: dict[str, np.ndarray] = {}

    def add_picture(self, step: int, name: str, image: np.ndarray) -> None:
        self.pictures[name] = image


def test_the_averaged_weights_are_scored(trainer, coco):
    figures = score_average(trainer, coco, None, StopRequest())
    assert figures.ap > 0.1 and figures.images == 6
    assert score_average(trainer, coco, 2, StopRequest()).images == 2


def test_a_stop_ends_the_evaluation_without_figures(trainer, coco):
    stop = StopRequest()
    stop.is_made = True
    assert score_average(trainer, coco, None, stop) is None


def test_four_images_are_shown(trainer, coco):
    board = Board()
    show_pictures(trainer, coco, board)
    ids = [example.image_id for example in coco.examples[:4]]
    assert list(board.pictures) == [f"image {image_id}" for image_id in ids]
    assert all(image.shape == (128, 3 * 128, 3) for image in board.pictures.values())


def test_an_image_that_cannot_be_read_is_not_shown(trainer, tmp_path):
    write_dataset(tmp_path, ShapesSpec(images=2, seed=3))
    broken = read_coco(tmp_path)
    next(iter(broken.examples)).path.write_bytes(b"no image")
    board = Board()
    show_pictures(trainer, dataclasses.replace(broken), board)
    assert len(board.pictures) == 1
