"""Looking at the averaged weights from time to time: average precision, and pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from detectors.dataset import CocoSet
from detectors.evaluate import EVALUATION_OPTIONS, AveragePrecision, evaluate
from detectors.examples import load_image
from detectors.predict import predictor_from_network
from detectors.stop_request import StopRequest
from detectors.trainer import Trainer
from detectors.training_pictures import picture_of
from runtime.detections import Detections
from runtime.errors import SourceError

if TYPE_CHECKING:
    from detectors.training_board import TrainingBoard

# Images of the validation set, or of the training set, that TensorBoard shows.
SHOWN_IMAGES = 4


class _StopEvaluation(Exception):
    """A stop was asked for while the validation set was predicted."""


def score_average(
    trainer: Trainer, validation: CocoSet, limit: int | None, stop: StopRequest
) -> AveragePrecision | None:
    """Return the averaged weights' figures on a validation set; None if a stop was asked for.

    Args:
        trainer: Holds the weights.
        validation: Annotated images, all of them readable.
        limit: Use the first so many only; None for all.
        stop: Looked at before every image.
    """
    size_hw = trainer.options.size_hw
    find = predictor_from_network(
        trainer.average.network, trainer.spec, size_hw, EVALUATION_OPTIONS
    )

    def predict(image: np.ndarray) -> Detections:
        if stop.is_made:
            raise _StopEvaluation
        return find(image)

    with contextlib.suppress(_StopEvaluation):
        return evaluate(validation, predict, limit)
    return None


def show_pictures(trainer: Trainer, shown: CocoSet, board: TrainingBoard) -> None:
    """Show what the averaged weights see on the first images of a set."""
    for image_id, image in _first_images(shown):
        picture = picture_of(
            trainer.average.network, trainer.spec, trainer.options.size_hw, image, shown.class_names
        )
        board.add_picture(trainer.step, f"image {image_id}", picture)


def _first_images(shown: CocoSet) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ids and pixels; an image that cannot be read is left out."""
    for example in shown.examples[:SHOWN_IMAGES]:
        with contextlib.suppress(SourceError):
            yield example.image_id, load_image(example)
