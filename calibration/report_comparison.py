"""What INT8 finds, loses and adds beside FP32, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.report_matching import (
    Truth,
    best_scores,
    detections_by_image,
    find_objects,
    match_boxes,
    truths_of,
)
from detectors.dataset import CocoSet
from detectors.evaluate import Rows
from detectors.examples import Example, ExampleTable
from runtime.detections import Detections
from runtime.postprocess import PostprocessOptions

# From this score on a detection counts as shown: the default of a live picture.
SHOWN_SCORE = PostprocessOptions.score_threshold
# Pairs of which both scores lie below this are the decoder's noise and tell nothing.
PAIRED_SCORE = 0.1


@dataclass(frozen=True, eq=False)
class ImageChange:
    """What differs between FP32 and INT8 on one image.

    Attributes:
        example: The image and its objects.
        float_shown: FP32's detections from ``SHOWN_SCORE`` on.
        int8_shown: INT8's.
        lost: Objects that only FP32 finds, by their place in the example.
        gained: Objects that only INT8 finds.
        false_new: Wrong detections of INT8 that FP32 does not show, by their place.
        false_gone: Wrong detections of FP32 that INT8 does not show.
        float_scores: float64 (n,), FP32's score of each object, shown or not; 0 where it has none.
        int8_scores: INT8's.
    """

    example: Example
    float_shown: Detections
    int8_shown: Detections
    lost: tuple[int, ...]
    gained: tuple[int, ...]
    false_new: tuple[int, ...]
    false_gone: tuple[int, ...]
    float_scores: np.ndarray
    int8_scores: np.ndarray

    @property
    def damage(self) -> tuple[int, float]:
        """What images are sorted by: objects lost and wrong detections added, then scores lost."""
        scores_lost = float((self.float_scores - self.int8_scores).sum())
        return len(self.lost) + len(self.false_new), scores_lost


@dataclass(frozen=True, eq=False)
class Comparison:
    """All images.

    Attributes:
        images: One entry per image, in the order of the set.
        objects: Annotated single objects.
        float_found: Those that FP32 finds.
        score_pairs: float32 (n, 2), scores of the same detection in FP32 and INT8, of all pairs
            with a score from ``PAIRED_SCORE`` on.
    """

    images: tuple[ImageChange, ...]
    objects: int
    float_found: int
    score_pairs: np.ndarray

    def count(self, name: str) -> int:
        """Return how often something happened: "lost", "gained", "false_new" or "false_gone"."""
        return sum(len(getattr(image, name)) for image in self.images)

    def worst(self) -> list[ImageChange]:
        """Return the images on which something changed for the worse, the most damaged first."""
        damaged = [image for image in self.images if image.damage[0]]
        return sorted(damaged, key=lambda image: image.damage, reverse=True)


def compare_detections(
    coco: CocoSet, examples: ExampleTable, float_rows: Rows, int8_rows: Rows
) -> Comparison:
    """Compare the detections of two models on the same images.

    Args:
        coco: The set of the images.
        examples: The images.
        float_rows: FP32's detections in COCO's result format.
        int8_rows: INT8's.
    """
    both = [detections_by_image(coco, rows) for rows in (float_rows, int8_rows)]
    changes, pairs, found = [], [], 0
    for truth in truths_of(examples):
        per_model = [d.get(truth.example.image_id, Detections.empty()) for d in both]
        changes.append(compare_image(truth, *per_model))
        pairs.append(pair_scores(*per_model))
        found += len(find_objects(truth, changes[-1].float_shown).objects)
    objects = sum(len(change.example.class_ids) for change in changes)
    return Comparison(tuple(changes), objects, found, np.concatenate(pairs))


def compare_image(truth: Truth, float_all: Detections, int8_all: Detections) -> ImageChange:
    """Compare what two models find on one image.

    Args:
        truth: What is there.
        float_all: FP32's detections of every score, best first.
        int8_all: INT8's.
    """
    float_shown, int8_shown = float_all.above(SHOWN_SCORE), int8_all.above(SHOWN_SCORE)
    before, after = find_objects(truth, float_shown), find_objects(truth, int8_shown)
    example = truth.example
    return ImageChange(
        example,
        float_shown,
        int8_shown,
        lost=tuple(sorted(before.objects - after.objects)),
        gained=tuple(sorted(after.objects - before.objects)),
        false_new=_without_partner(int8_shown, after.false, float_shown, before.false),
        false_gone=_without_partner(float_shown, before.false, int8_shown, after.false),
        float_scores=best_scores(example, float_all),
        int8_scores=best_scores(example, int8_all),
    )


def pair_scores(float_all: Detections, int8_all: Detections) -> np.ndarray:
    """Return the scores of detections that both models have, float32 (n, 2).

    A pair counts if either score reaches ``PAIRED_SCORE``: a threshold on one of them alone would
    let the other look lower than it is.
    """
    partners = match_boxes(
        float_all.boxes_xyxy,
        float_all.class_ids,
        int8_all.boxes_xyxy,
        int8_all.class_ids,
        int8_all.scores,
    )
    pairs = [(float_all.scores[i], int8_all.scores[j]) for i, j in partners.items()]
    scores = np.array(pairs, np.float32).reshape(-1, 2)
    return np.asarray(scores[scores.max(axis=1) >= PAIRED_SCORE])


def _without_partner(
    shown: Detections, rows: Sequence[int], others: Detections, other_rows: Sequence[int]
) -> tuple[int, ...]:
    """Return those of some rows that no chosen row of the other model overlaps."""
    chosen, other = list(rows), list(other_rows)
    partners = match_boxes(
        shown.boxes_xyxy[chosen],
        shown.class_ids[chosen],
        others.boxes_xyxy[other],
        others.class_ids[other],
    )
    return tuple(row for place, row in enumerate(chosen) if place not in partners)
