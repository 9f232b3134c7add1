"""Files of detections: written, read again, and refused where they are not about the set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detectors.coco_results import read_results, write_results
from detectors.dataset import CocoSet, read_coco
from runtime.errors import DatasetError

ROW = {"image_id": 1, "category_id": 1, "bbox": [1.5, 2.0, 3.0, 4.0], "score": 0.25}


@pytest.fixture(name="coco")
def shapes_set(shapes: Path) -> CocoSet:
    return read_coco(shapes)


def test_what_is_written_is_read_again(coco: CocoSet, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = [ROW, ROW | {"image_id": 2, "score": 1e-9}]
    write_results(path, rows)
    assert read_results(path, coco, coco.examples) == rows
    write_results(path, [])
    assert read_results(path, coco, coco.examples) == []


def test_images_that_are_not_evaluated_are_dropped(coco: CocoSet, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    write_results(path, [ROW | {"image_id": coco.examples[i].image_id} for i in (0, 1, 2)])
    assert len(read_results(path, coco, coco.examples[:2])) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 99}, "entry 1 has image_id 99; expected one of the 6 of the set"),
        ({"image_id": True}, "image_id True"),
        ({"image_id": "1"}, "image_id '1'"),
        ({"image_id": []}, r"image_id \[\]"),
        ({"category_id": 0}, "category_id 0; expected one of the 6"),
        ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\]; expected x, y, width, height"),
        ({"bbox": [1, 2, 3, None]}, "expected x, y, width, height"),
        ({"bbox": [1, 2, float("nan"), 3]}, "expected x, y, width, height"),
        ({"bbox": [1, 2, -3, 4]}, "width and height of at least 0"),
        ({"score": "high"}, "score 'high'; expected a number"),
        ({"score": float("inf")}, "score inf"),
        ({"score": 10**400}, "expected a number"),
        ({"bbox": [1, 2, 10**400, 4]}, "expected x, y, width, height"),
        ({"score": True}, "score True"),
    ],
)
def test_a_wrong_entry_is_named(coco: CocoSet, tmp_path: Path, changes: dict, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([ROW, ROW | changes]))
    with pytest.raises(DatasetError, match=message):
        read_results(path, coco, coco.examples)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "holds a dict; expected a list of detections"),
        ("[3]", "entry 0 is 3; expected an object"),
        ("[{}]", "entry 0 has image_id None"),
        ("[", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\x00\xff", "is not JSON"),
    ],
)
def test_other_files_are_refused(coco: CocoSet, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=message):
        read_results(path, coco, coco.examples)


def test_a_missing_file_is_named(coco: CocoSet, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no .*none\.json; expected detections"):
        read_results(tmp_path / "none.json", coco, coco.examples)
