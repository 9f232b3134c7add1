"""The command, from an image file to pictures and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detectors.explain import main, open_detector, read_truth, shipped_weights
from detectors.shapes_drawing import CLASS_NAMES
from runtime.errors import CheckpointError, DatasetError, UsageError


def explain(*options: object) -> int:
    return main([str(option) for option in options])


def test_pictures_and_record_of_a_shapes_image(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = shapes / "images" / "000000.jpg"
    annotations = shapes / "annotations.json"
    status = explain(image, "--annotations", annotations, "--out", tmp_path, "--dpi", 20)
    assert status == 0
    record = json.loads((tmp_path / "explain.json").read_text())
    assert record["image"] == str(image)
    assert record["class_names"] == list(CLASS_NAMES)
    assert record["annotated"]
    assert record["boxes"]
    assert (tmp_path / "explain.png").is_file()
    assert len(list(tmp_path.iterdir())) == 6
    line = capsys.readouterr().out
    assert line.startswith(f"{tmp_path / 'explain.png'}: {len(record['boxes'])} boxes")
    assert "objects missed" in line


def test_truth_has_the_networks_class_ids(shapes: Path) -> None:
    image = shapes / "images" / "000001.jpg"
    names = ("nothing", *reversed(CLASS_NAMES[1:]))
    all_of_it = read_truth(shapes / "annotations.json", image, CLASS_NAMES)
    truth = read_truth(shapes / "annotations.json", image, names)
    known = all_of_it.class_ids > 0
    assert [names[i] for i in truth.class_ids] == [
        CLASS_NAMES[i] for i in all_of_it.class_ids[known]
    ]
    assert np.array_equal(truth.boxes_xyxy, all_of_it.boxes_xyxy[known])


def test_an_image_that_is_not_annotated_is_refused(shapes: Path, tmp_path: Path) -> None:
    other = shapes / "images" / "unknown.jpg"
    with pytest.raises(DatasetError, match=r"does not list unknown.jpg; expected"):
        read_truth(shapes / "annotations.json", other, CLASS_NAMES)


def test_models_without_shipped_weights_want_some() -> None:
    with pytest.raises(UsageError, match="cornernet-squeeze has no shipped weights"):
        shipped_weights("cornernet-squeeze")
    with pytest.raises(UsageError, match="unknown model 'yolo'"):
        shipped_weights("yolo")


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="got height 100"):
        open_detector("cornernet-nano", shipped_weights("cornernet-nano"), [100, 100])


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    save_file({"a.weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError):
        open_detector("cornernet-nano", tmp_path / "a.safetensors", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing.png"], "missing.png"),
        (["IMAGE", "--model", "yolo"], "unknown model 'yolo'"),
        (["IMAGE", "--score", "2"], "score threshold is 2.0; expected 0 to 1"),
        (["IMAGE", "--annotations", "missing.json"], "no missing.json; expected COCO annotations"),
        (["IMAGE", "--dpi", "0"], "--dpi: got '0'; expected a whole number from 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    options: list[str],
    message: str,
    shapes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = str(shapes / "images" / "000000.jpg")
    given = [image if option == "IMAGE" else option for option in options]
    assert main([*given, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.rglob("*.*")) == []
