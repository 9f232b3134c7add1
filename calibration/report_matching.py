"""Which detections find which objects, as in COCO's AP50.

A detection finds an object of its class from an intersection over union of 0.5 on; the best score
chooses first, and an object is found once. Detections inside a crowd count neither way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.dataset import CocoSet
from detectors.evaluate import Rows
from detectors.examples import Example, ExampleTable
from export.agreement import box_iou
from runtime.detections import Detections

# A detection finds what it overlaps by this intersection over union: COCO's AP50.
MATCH_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Truth:
    """What is annotated on one image.

    Attributes:
        example: The image and its single objects.
        crowd_boxes_xyxy: float64 (n, 4), regions with many objects, in pixels.
        crowd_class_ids: int64 (n,), their classes.
    """

    example: Example
    crowd_boxes_xyxy: np.ndarray
    crowd_class_ids: np.ndarray


@dataclass(frozen=True)
class Found:
    """What one model shows on one image, sorted into right and wrong.

    Attributes:
        objects: Annotated objects found, by their place in the example.
        false: Detections that find nothing, by their place in the detections.
    """

    objects: frozenset[int]
    false: tuple[int, ...]


def truths_of(examples: ExampleTable) -> list[Truth]:
    """Return what is annotated on each image, crowds apart."""
    objects, truths = examples.objects, []
    for place, row in enumerate(examples.rows.tolist()):
        begin, end = objects.starts[row : row + 2]
        crowd = objects.crowd[begin:end]
        truths.append(
            Truth(
                examples[place],
                objects.boxes_xyxy[begin:end][crowd],
                objects.class_ids[begin:end][crowd],
            )
        )
    return truths


def detections_by_image(coco: CocoSet, rows: Rows) -> dict[int, Detections]:
    """Return detections by the image's number, best first."""
    class_of = {number: index for index, number in enumerate(coco.category_ids)}
    grouped: dict[int, list[tuple[float, int, list[float]]]] = {}
    for row in rows:
        entry = (row["score"], class_of[row["category_id"]], row["bbox"])
        grouped.setdefault(row["image_id"], []).append(entry)
    result = {}
    for image_id, entries in grouped.items():
        scores, class_ids, boxes = zip(*sorted(entries, key=lambda e: -e[0]), strict=True)
        boxes_xyxy = np.array(boxes, np.float32)
        boxes_xyxy[:, 2:] += boxes_xyxy[:, :2]
        result[image_id] = Detections(
            boxes_xyxy, np.array(scores, np.float32), np.array(class_ids, np.int32)
        )
    return result


def find_objects(truth: Truth, shown: Detections) -> Found:
    """Match detections, best first, with the objects of one image."""
    example = truth.example
    partners = match_boxes(shown.boxes_xyxy, shown.class_ids, example.boxes_xyxy, example.class_ids)
    false = [i for i in range(len(shown)) if i not in partners and not _in_crowd(truth, shown, i)]
    return Found(frozenset(partners.values()), tuple(false))


def match_boxes(
    boxes: np.ndarray,
    class_ids: np.ndarray,
    others: np.ndarray,
    other_ids: np.ndarray,
    weights: np.ndarray | float = 1.0,
) -> dict[int, int]:
    """Pair boxes of the same class that overlap by ``MATCH_IOU``, in the order of the first.

    Args:
        boxes: (n, 4), left, top, right, bottom.
        class_ids: (n,).
        others: (m, 4); each serves one partner only, the one that chooses first.
        other_ids: (m,).
        weights: Of the others, (m,), times the overlap: decoders give weak boxes close to strong
            ones, and a strong one must not lose its partner to them.

    Returns:
        Row of ``others`` by row of ``boxes``, for those with a partner.
    """
    free = np.ones(len(others), bool)
    partners = {}
    for row, (box, class_id) in enumerate(zip(boxes, class_ids, strict=True)):
        overlap = np.where(free & (other_ids == class_id), box_iou(box, others), 0.0)
        if overlap.size and overlap.max() >= MATCH_IOU:
            partners[row] = int(np.where(overlap >= MATCH_IOU, overlap * weights, -1.0).argmax())
            free[partners[row]] = False
    return partners


def best_scores(example: Example, detections: Detections) -> np.ndarray:
    """Return the score of each object's detection, 0 where it has none; float64 (n,)."""
    partners = match_boxes(
        detections.boxes_xyxy, detections.class_ids, example.boxes_xyxy, example.class_ids
    )
    scores = np.zeros(len(example.class_ids))
    for row, place in partners.items():
        scores[place] = detections.scores[row]
    return scores


def _in_crowd(truth: Truth, shown: Detections, row: int) -> bool:
    """Say whether half of a detection lies in a crowd of its class."""
    box = shown.boxes_xyxy[row].astype(np.float64)
    crowds = truth.crowd_boxes_xyxy[truth.crowd_class_ids == shown.class_ids[row]]
    start, end = np.maximum(box[:2], crowds[:, :2]), np.minimum(box[2:], crowds[:, 2:])
    inside = np.clip(end - start, 0, None).prod(axis=1)
    area = (box[2:] - box[:2]).prod()
    return bool((inside >= MATCH_IOU * max(area, 1e-12)).any())
