"""Average precision: known answers, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detectors.checkpoints import save_checkpoint
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import coco_rows, evaluate, main
from detectors.registry import build_detector
from detectors.shapes import CLASS_NAMES, ShapesSpec, write_dataset
from runtime.camera_files import read_image
from runtime.detections import Detections
from tests.builders import write_tiny_artifact


@pytest.fixture(name="coco", scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> CocoSet:
    folder = tmp_path_factory.mktemp("shapes")
    write_dataset(folder, ShapesSpec(images=6, seed=1))
    return read_coco(folder)


def oracle(coco: CocoSet, shift_px: float = 0.0, score: float = 0.9):
    """Return a predictor that knows the truth, off by ``shift_px``."""
    answers = {read_image(example.path).tobytes(): example for example in coco.examples}

    def predict(image: np.ndarray) -> Detections:
        example = answers[image.tobytes()]
        return Detections(
            (example.boxes_xyxy + shift_px).astype(np.float32),
            np.full(len(example.class_ids), score, np.float32),
            example.class_ids.astype(np.int32),
        )

    return predict


def test_the_truth_scores_one(coco):
    result = evaluate(coco, oracle(coco))
    assert (result.ap, result.ap50, result.images) == (1.0, 1.0, 6)


def test_boxes_that_are_off_score_less_at_high_overlap(coco):
    result = evaluate(coco, oracle(coco, shift_px=2.0))
    assert result.ap50 > result.ap75 > 0 and 0.2 < result.ap < 0.95


def test_wrong_classes_and_no_boxes_score_zero(coco):
    right = oracle(coco)

    def confused(image: np.ndarray) -> Detections:
        found = right(image)
        return Detections(found.boxes_xyxy, found.scores, (found.class_ids + 1) % 6)

    assert evaluate(coco, confused).ap < 0.1
    nothing = evaluate(coco, lambda image: Detections.empty())
    assert nothing.ap == 0.0 and nothing.images == 6


def test_a_limit_evaluates_the_first_images_alone(coco):
    result = evaluate(coco, oracle(coco), limit=2)
    assert result.ap == 1.0 and result.images == 2


def test_a_set_without_areas_and_crowds_can_be_evaluated(coco, tmp_path):
    body = json.loads(coco.annotation_file.read_text())
    for entry in body["annotations"]:
        del entry["area"], entry["iscrowd"]
    (tmp_path / "annotations.json").write_text(json.dumps(body))
    (tmp_path / "images").symlink_to(coco.folder / "images")
    bare = read_coco(tmp_path)
    assert evaluate(bare, oracle(bare)).ap == 1.0


def test_rows_use_coco_categories_and_width_height(coco):
    found = Detections(np.float32([[1, 2, 11, 22]]), np.float32([0.5]), np.int32([2]))
    (row,) = coco_rows(coco.examples[0], found, coco.category_ids)
    assert row["bbox"] == [1, 2, 10, 20] and row["category_id"] == 3 and row["score"] == 0.5


def test_the_command_evaluates_a_checkpoint(coco, tmp_path, capsys):
    weights = tmp_path / "nano.safetensors"
    metadata = {"class_names": json.dumps(CLASS_NAMES)}
    save_checkpoint(build_detector("cornernet-nano", 6), weights, metadata)
    out = tmp_path / "ap.json"
    arguments = ["--data", str(coco.folder), "--weights", str(weights), "--limit", "1"]
    assert main([*arguments, "--size", "64", "64", "--json", str(out)]) == 0
    assert "AP50" in capsys.readouterr().out
    body = json.loads(out.read_text())
    assert body["images"] == 1 and body["model"] == "nano.safetensors"


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_bad_input_is_one_line_and_status_2(coco, tmp_path, capsys):
    data = coco.folder
    nameless = tmp_path / "nameless.safetensors"
    save_checkpoint(build_detector("cornernet-nano", 6), nameless, {})
    tiny = write_tiny_artifact(tmp_path / "tiny.onnx")
    assert "exactly one of" in failure(capsys, "--data", data)
    assert "no file" in failure(capsys, "--data", data, "--artifact", Path("none.onnx"))
    assert "does not name its classes" in failure(capsys, "--data", data, "--weights", nameless)
    assert "same classes" in failure(capsys, "--data", data, "--artifact", tiny)
    assert "--limit" in failure(capsys, "--data", data, "--artifact", tiny, "--limit", "0")
    assert "expected COCO" in failure(capsys, "--data", tmp_path, "--artifact", tiny)
