"""The Shapes dataset as files, and its command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from detectors.dataset import read_coco
from detectors.shapes import CLASS_NAMES, ShapesSpec, main, make_image, write_dataset
from runtime.camera_files import read_image


def test_an_image_depends_on_seed_and_number_alone():
    image, truth = make_image(ShapesSpec(1, seed=7), 3)
    again, _ = make_image(ShapesSpec(1, seed=7), 3)
    assert (image == again).all() and len(truth.class_ids) >= 1
    assert max(image.shape[:2]) == 256
    for seed, index in ((7, 4), (8, 3)):
        other, _ = make_image(ShapesSpec(1, seed), index)
        assert other.shape != image.shape or (other != image).any()


def test_objects_can_be_kept_large():
    _, truth = make_image(ShapesSpec(1, seed=7, min_size_px=100.0), 3)
    sides = (truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]).max(1)
    assert len(sides) and sides.min() > 50  # others may cover a third of an object
    _, usual = make_image(ShapesSpec(1, seed=7), 3)
    assert len(usual.boxes_xyxy) != len(sides) or (usual.boxes_xyxy != truth.boxes_xyxy).any()


def test_dataset_is_the_same_for_any_count_and_number_of_workers(tmp_path):
    write_dataset(tmp_path / "a", ShapesSpec(images=5, seed=9, workers=1))
    write_dataset(tmp_path / "b", ShapesSpec(images=3, seed=9, workers=2))
    a, b = read_coco(tmp_path / "a"), read_coco(tmp_path / "b")
    assert a.class_names == CLASS_NAMES and len(a.examples) == 5
    for first, second in zip(a.examples[:3], b.examples, strict=True):
        assert first.path.read_bytes() == second.path.read_bytes()
        assert (first.boxes_xyxy == second.boxes_xyxy).all()


def test_annotations_are_what_was_drawn_and_valid_coco(tmp_path):
    path = write_dataset(tmp_path, ShapesSpec(images=2, seed=9))
    _, truth = make_image(ShapesSpec(2, seed=9), 1)
    example = read_coco(tmp_path).examples[1]
    assert np.array_equal(example.boxes_xyxy, truth.boxes_xyxy)
    assert np.array_equal(example.class_ids, truth.class_ids)
    coco = COCO(str(path))
    assert len(coco.getImgIds()) == 2 and len(coco.getCatIds()) == 6
    ids = [entry["id"] for entry in json.loads(path.read_text())["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    assert read_image(example.path).shape[2] == 3


def test_progress_is_reported(tmp_path):
    seen: list[int] = []
    write_dataset(tmp_path, ShapesSpec(images=3, seed=1), seen.append)
    assert seen == [1, 2, 3]


def test_command_writes_a_dataset_and_a_clip(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "set"), "--images", "2", "--workers", "1"]) == 0
    assert (tmp_path / "set" / "annotations.json").is_file()
    assert main(["--clip", str(tmp_path / "clip.mp4"), "--seconds", "0.1"]) == 0
    assert (tmp_path / "clip.mp4").stat().st_size > 0
    assert "2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--out", "a", "--clip", "b.mp4"],
        ["--out", "x", "--images", "0"],
        ["--clip", "c.mp4", "--seconds", "nan"],
        ["--clip", "c.mp4", "--seconds", "0"],
        ["--out", "x", "--seed", "-1"],
    ],
)
def test_impossible_requests_are_one_line_and_status_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
