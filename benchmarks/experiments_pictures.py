"""Examples for the document: the same image paired with the embeddings and without them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.experiments_decoding import (
    SHOWN_SCORE,
    Candidate,
    predictor_with_threshold,
    wrong_pairs,
)
from detectors.dataset import CocoSet, Example
from detectors.registry import find_spec
from export.agreement import box_iou
from runtime.camera_files import read_image
from runtime.detections import Detections

FOUND_IOU = 0.5  # from here on a box counts in COCO's AP50


@dataclass(frozen=True)
class Paired:
    """What would be shown on an image.

    Attributes:
        found: The boxes.
        is_wrong: bool, for each of them, whether it joins corners of two objects.
        finds: bool, for each of them, whether it lies on an object of its class.
    """

    found: Detections
    is_wrong: np.ndarray
    finds: np.ndarray


@dataclass(frozen=True)
class PairExample:
    """One image, paired twice.

    Attributes:
        image: uint8 (H, W, 3) BGR.
        by_embedding: Paired as usual.
        by_score: Paired by class, position and score alone.
    """

    image: np.ndarray
    by_embedding: Paired
    by_score: Paired


def compare(found: Detections, example: Example) -> Paired:
    """Compare boxes with an image's annotations."""
    finds = [
        bool((box_iou(box, example.boxes_xyxy[example.class_ids == class_id]) >= FOUND_IOU).any())
        for box, class_id in zip(found.boxes_xyxy, found.class_ids, strict=True)
    ]
    is_wrong = wrong_pairs(found, example.boxes_xyxy, example.class_ids)
    return Paired(found, is_wrong, np.array(finds, bool))


def pair_examples(candidate: Candidate, coco: CocoSet, count: int) -> list[PairExample]:
    """Return the images on which embeddings prevent the most wrong pairs, the most first."""
    usual = find_spec(candidate.model).decode.ae_threshold
    predictors = [predictor_with_threshold(candidate, limit) for limit in (usual, math.inf)]
    examples = []
    for example in coco.examples:
        image = read_image(example.path)
        paired = []
        for predict in predictors:
            paired.append(compare(predict(image).above(SHOWN_SCORE), example))
        examples.append(PairExample(image, *paired))

    def prevented(example: PairExample) -> int:
        return int(example.by_score.is_wrong.sum()) - int(example.by_embedding.is_wrong.sum())

    return sorted(examples, key=prevented, reverse=True)[:count]
