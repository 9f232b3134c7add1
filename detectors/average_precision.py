"""COCO's figures for a list of detections, computed by faster-coco-eval.

faster-coco-eval gives pycocotools' figures to the last digit (a test compares them), takes the
truth as a dictionary, so that what ``detectors.dataset`` left out stays out, and its evaluation is
compiled. Its licence is Apache-2.0.

Source: cocodataset.org, "Detection evaluation": matching at ten overlaps from 0.50 to 0.95, at most
100 detections per image, crowds as regions in which nothing counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from detectors.dataset import CocoSet
from detectors.examples import Example, ExampleTable
from runtime.detections import Detections

DIGITS = 5  # of every figure
MAX_DETECTIONS = (1, 10, 100)  # per image, COCO's values
IOU_50 = 0  # row of the precision table for overlap 0.50


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures, each in [0, 1], or -1 where the set holds no such object.

    Attributes:
        ap: Mean over overlaps 0.50 to 0.95.
        ap50: At overlap 0.50.
        ap75: At overlap 0.75.
        ap_small: Objects below 32 x 32 pixels.
        ap_medium: Objects between.
        ap_large: Objects from 96 x 96 pixels.
        images: Images evaluated.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    images: int


@dataclass(frozen=True)
class AverageRecall:
    """Shares of objects found, mean over overlaps 0.50 to 0.95; -1 where there is no such object.

    Attributes:
        ar_1: With one detection per image.
        ar_10: With ten.
        ar_100: With a hundred.
        ar_small: With a hundred, objects below 32 x 32 pixels.
        ar_medium: Objects between.
        ar_large: Objects from 96 x 96 pixels.
    """

    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True)
class ClassPrecision:
    """The figures of one class; -1 where the set holds no object of it.

    Attributes:
        name: Of the class.
        ap: Mean over overlaps 0.50 to 0.95.
        ap50: At overlap 0.50.
        objects: Annotated objects of the class, crowds left out.
    """

    name: str
    ap: float
    ap50: float
    objects: int


@dataclass(frozen=True)
class Scores:
    """Everything that one evaluation gives."""

    precision: AveragePrecision
    recall: AverageRecall
    per_class: tuple[ClassPrecision, ...]


def coco_rows(
    example: Example, found: Detections, category_ids: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return detections in COCO's result format: boxes as x, y, width, height."""
    boxes = found.boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    values = zip(boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
    return [
        {
            "image_id": example.image_id,
            "category_id": category_ids[class_id],
            "bbox": box,
            "score": score,
        }
        for box, score, class_id in values
    ]


def score_rows(coco: CocoSet, rows: Sequence[dict[str, Any]], examples: ExampleTable) -> Scores:
    """Score detections against the annotations of ``examples``.

    Args:
        coco: The set that the examples belong to.
        rows: Detections in COCO's result format, of these images only; not modified.
        examples: The images evaluated, all of ``coco`` or a part.
    """
    truth = COCO(truth_of(coco, examples))
    results = truth.loadRes([dict(row) for row in rows])  # it adds keys to each
    scoring = COCOeval_faster(truth, results, "bbox", print_function=lambda *_: None)
    scoring.params.maxDets = list(MAX_DETECTIONS)
    scoring.evaluate()
    scoring.accumulate()
    scoring.summarize()
    stats = [round(float(value), DIGITS) for value in scoring.stats]
    precision = AveragePrecision(*stats[:6], len(examples))
    return Scores(precision, AverageRecall(*stats[6:12]), _per_class(coco, examples, scoring.eval))


def truth_of(coco: CocoSet, examples: ExampleTable) -> dict[str, Any]:
    """Return the checked annotations of some images as COCO's dictionary, crowds included."""
    objects, annotations = examples.objects, []
    for image_id, rows in _objects_by_image(examples):
        for row in rows:
            left, top, right, bottom = objects.boxes_xyxy[row].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 would count as "not matched"
                    "image_id": image_id,
                    "category_id": coco.category_ids[objects.class_ids[row]],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": float(objects.areas[row]),
                    "iscrowd": int(objects.crowd[row]),
                }
            )
    categories = zip(coco.category_ids, coco.class_names, strict=True)
    return {
        "images": [{"id": image_id} for image_id, _ in _objects_by_image(examples)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in categories],
    }


def _objects_by_image(examples: ExampleTable) -> list[tuple[int, range]]:
    """Return each image's number and the rows of its objects."""
    starts = examples.objects.starts
    return [
        (int(examples.images.ids[row]), range(int(starts[row]), int(starts[row + 1])))
        for row in examples.rows
    ]


def _per_class(
    coco: CocoSet, examples: ExampleTable, table: dict[str, Any]
) -> tuple[ClassPrecision, ...]:
    """Average the precision table (overlap, recall, class, area, detections) for each class."""
    precision = np.asarray(table["precision"])[:, :, :, 0, -1]  # all areas, most detections
    rows = [row for _, rows in _objects_by_image(examples) for row in rows]
    single = examples.objects.class_ids[rows][~examples.objects.crowd[rows]]
    counts = np.bincount(single, minlength=len(coco.class_names))
    return tuple(
        ClassPrecision(
            name,
            _mean(precision[:, :, class_id]),
            _mean(precision[IOU_50, :, class_id]),
            int(counts[class_id]),
        )
        for class_id, name in enumerate(coco.class_names)
    )


def _mean(precision: np.ndarray) -> float:
    """Average over what is defined; -1 if nothing is."""
    defined = precision[precision > -1]
    return round(float(defined.mean()), DIGITS) if defined.size else -1.0
