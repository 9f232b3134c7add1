"""Files of detections in COCO's result format: what evaluation writes, and what others computed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectors.dataset import CocoSet
from detectors.examples import ExampleTable
from runtime.atomic_file import write_text
from runtime.errors import DatasetError


def write_results(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write detections, completely or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    write_text(path, json.dumps(list(rows)) + "\n")


def read_results(path: Path, coco: CocoSet, examples: ExampleTable) -> list[dict[str, Any]]:
    """Read detections and check that they are about a set.

    Args:
        path: A JSON list of objects with ``image_id``, ``category_id``, ``bbox`` (x, y, width,
            height in pixels) and ``score``; other keys are ignored.
        coco: The set.
        examples: The images to be evaluated; detections of other images of the set are dropped.

    Raises:
        DatasetError: If the file is missing or malformed, or a detection has an unknown image or
            category, a box that is no box or a score that is no number; names the first one.
    """
    try:
        body = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"no {path}; expected detections as a COCO result file") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON ({error}); expected a COCO result file") from None
    if not isinstance(body, list):
        raise DatasetError(
            f"{path} holds a {type(body).__name__}; expected a list of detections, as COCO's "
            "result format has it"
        )
    known = set(coco.examples.images.ids[coco.examples.rows].tolist())
    wanted = set(examples.images.ids[examples.rows].tolist())
    categories = set(coco.category_ids)
    for index, entry in enumerate(body):
        if problem := _problem(entry, known, categories):
            raise DatasetError(
                f"{path} entry {index} {problem}; correct what wrote it, or choose its data set"
            )
    return [entry for entry in body if entry["image_id"] in wanted]


def _problem(entry: Any, images: set[int], categories: set[int]) -> str:
    """Say what is wrong with one detection; "" if nothing."""
    if not isinstance(entry, dict):
        return f"is {entry!r}; expected an object"
    for key, known in (("image_id", images), ("category_id", categories)):
        value = entry.get(key)
        if type(value) is not int or value not in known:
            return f"has {key} {value!r}; expected one of the {len(known)} of the set"
    box, score = entry.get("bbox"), entry.get("score")
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return f"has bbox {box!r}; expected x, y, width, height"
    if min(box[2:]) < 0:
        return f"has bbox {box!r}; expected width and height of at least 0"
    return "" if _is_number(score) else f"has score {score!r}; expected a number"


def _is_number(value: Any) -> bool:
    """Say whether a JSON value is a finite number that fits double precision."""
    if isinstance(value, int):  # of any number of digits in JSON
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, float) and math.isfinite(value)
