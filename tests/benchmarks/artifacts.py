"""Artifacts of two precisions and the figures of a stream, in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from runtime.contract import read_contract
from tests.builders import TINY_CONTRACT, write_tiny_artifact

STAGES = ("capture", "letterbox", "network", "postprocess", "draw", "publish", "age")


def write_pair(folder: Path) -> dict[str, Path]:
    """Write the tiny model twice, called FP32 and INT8; returns the files by precision."""
    return {
        precision: write_tiny_artifact(
            folder / f"tiny-{precision}.onnxruntime.onnx",
            precision=precision,
            target="onnxruntime",
        )
        for precision in ("fp32", "int8")
    }


def write_stream_figures(path: Path, artifact: Path, **changes: object) -> Path:
    """Write what ``stream.py --summary-json`` would about an artifact, with keys changed."""
    figures = {"count": 9, "mean_ms": 2.5, "p50_ms": 2.0, "p95_ms": 3.0, "p99_ms": 4.0}
    record: dict[str, object] = {
        "source": "clip.mp4",
        "model": "tiny",
        "precision": "int8",
        "backend": "onnxruntime",
        "artifact_sha256": read_contract(artifact).artifact_sha256,
        "frames": 9,
        "dropped": 2,
        "detections": 27,
        "seconds": 0.5,
        "frames_per_second": 18.0,
        "stages": {stage: dict(figures) for stage in STAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | changes), encoding="utf-8")
    return path


def write_validation_set(folder: Path, class_names: tuple[str, ...] = ()) -> Path:
    """Write one white image on which the tiny model is right about its first two boxes."""
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "0.png"), np.full((64, 64, 3), 255, np.uint8))
    names = class_names or TINY_CONTRACT.class_names
    boxes = ([4, 20, 20, 24], [30, 20, 30, 24])  # x, y, width, height; one of each class
    annotations = [
        {
            "id": i + 1,
            "image_id": 1,
            "category_id": i + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for i, box in enumerate(boxes)
    ]
    body = {
        "images": [{"id": 1, "file_name": "0.png", "height": 64, "width": 64}],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
    }
    (folder / "annotations.json").write_text(json.dumps(body), encoding="utf-8")
    return folder
