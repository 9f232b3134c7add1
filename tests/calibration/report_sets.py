"""Small inputs for the report's tests: an annotated set, and models that find fixed boxes on it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper

from calibration.histograms import MagnitudeHistogram
from calibration.observers import Observation
from calibration.range_cache import write_ranges
from calibration.range_key import RangeKey
from detectors.dataset import read_coco
from detectors.examples import Example
from export.int8_on_cpu import RANGES_KEY
from runtime.contract import ProvenanceStep, write_contract
from runtime.detections import Detections
from tests.builders import TINY_BOXES_XYXY, TINY_CLASS_IDS, TINY_CONTRACT, picture, tiny_model

AWKWARD = "<b>&\"'"  # what users may call a class or a file
CLASS_NAMES = (f"square {AWKWARD}", "circle")
CALIBRATED = "46 of 53 convolutions, mse ranges from 3 images"


def write_set(folder: Path, images: int = 4, names: Sequence[str] = CLASS_NAMES) -> Path:
    """Write white images of the network's size on which the tiny model's boxes are annotated."""
    records, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for number in range(1, images + 1):
        name = f"{AWKWARD}{number}.png"
        done, png = cv2.imencode(".png", picture(64, 64, 200 + number))
        assert done
        (folder / "images" / name).write_bytes(bytes(png))
        records.append({"id": number, "file_name": name, "height": 64, "width": 64})
        for box, class_id in zip(TINY_BOXES_XYXY.tolist(), TINY_CLASS_IDS.tolist(), strict=True):
            left, top, right, bottom = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": class_id + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    body = {"images": records, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(body))
    return folder


def write_model(
    path: Path,
    precision: str = "fp32",
    scores: Sequence[float] = (1.0, 0.8, 0.6),
    thresholds: Mapping[str, float] | None = None,
    **changes: object,
) -> Path:
    """Write a model that finds the annotated boxes with these scores (a little less: not white)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = tiny_model()
    values = np.array([scores], np.float32)
    for tensor in model.graph.initializer:
        if tensor.name == "best":
            tensor.CopyFrom(numpy_helper.from_array(values, "best"))
    if thresholds:
        helper.set_model_props(model, {RANGES_KEY: json.dumps(dict(thresholds))})
    onnx.save(model, path)
    steps = (ProvenanceStep("calibrate", "0" * 64, "tool", CALIBRATED),)
    fields = {"precision": precision, "class_names": CLASS_NAMES, "provenance": steps, **changes}
    write_contract(dataclasses.replace(TINY_CONTRACT, **fields), path)
    return path


def write_histograms(
    path: Path, values: Mapping[str, np.ndarray], images: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write a file of ranges, as a calibration on these images leaves it."""
    write_ranges(path, RangeKey("w", "g", "p", "l", tuple(images)), observation_of(values))
    return path


def observation_of(values: Mapping[str, np.ndarray]) -> Observation:
    """Return what was observed of some tensors."""
    histograms = {}
    for name, array in values.items():
        histograms[name] = MagnitudeHistogram()
        histograms[name].add(np.asarray(array, np.float32))
    return Observation(histograms, 0, 0)


def example_of(boxes: Sequence[Sequence[float]], class_ids: Sequence[int]) -> Example:
    """Return an annotated image that no file belongs to."""
    return Example(
        1,
        Path("none.png"),
        (64, 64),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(class_ids, np.int64),
    )


def detections_of(*rows: tuple[Sequence[float], float, int]) -> Detections:
    """Return detections from (box, score, class)."""
    boxes, scores, class_ids = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids, np.int32),
    )


def rows_of_set(folder: Path, scores: Sequence[float]) -> list[dict[str, object]]:
    """Return the annotated boxes as detections with these scores, in COCO's result format."""
    coco = read_coco(folder)
    return [
        {
            "image_id": example.image_id,
            "category_id": coco.category_ids[class_id],
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": score,
        }
        for example in coco.examples
        for box, class_id, score in zip(
            example.boxes_xyxy.tolist(), example.class_ids.tolist(), scores, strict=True
        )
    ]
