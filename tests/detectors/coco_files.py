"""Small COCO sets for tests: two grey images of 32 x 32 pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = [{"id": 7, "name": "late"}, {"id": 3, "name": "early"}]


def annotation(
    image_id: int = 10, category_id: int = 3, bbox: Any = (2, 4, 20, 10), **more: Any
) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, **more}


def image_record(index: int, **more: Any) -> dict[str, Any]:
    return {"id": index + 10, "file_name": f"{index}.png", "height": 32, "width": 32, **more}


def write_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = np.full((32, 32, 3), 50 * (index + 1), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), image)


def write_coco(folder: Path, annotations: list[Any], images: int = 2, **body: Any) -> Path:
    """Write ``images`` images and the annotations; ``body`` replaces parts of the file."""
    write_images(folder / "images", images)
    records = [image_record(index) for index in range(images)]
    body = {"images": records, "annotations": annotations, "categories": CATEGORIES, **body}
    (folder / "annotations.json").write_text(json.dumps(body))
    return folder
