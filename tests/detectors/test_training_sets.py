"""The sets of a run: what is refused, and what is left out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from detectors.dataset import CocoSet, read_coco
from detectors.shapes import ShapesSpec, write_dataset
from detectors.training_sets import ImageSets
from runtime.errors import DatasetError


@pytest.fixture(name="coco")
def coco_set(tmp_path: Path) -> CocoSet:
    write_dataset(tmp_path, ShapesSpec(images=2, seed=3))
    return read_coco(tmp_path)


def test_sound_sets_pass_as_they_are(coco, capsys):
    ImageSets(coco, None).check()
    ImageSets(coco, coco).check()
    assert ImageSets(coco, None).with_sound_validation().validation is None
    assert len(ImageSets(coco, coco).with_sound_validation().validation.examples) == 2
    assert capsys.readouterr().err == ""


def test_a_training_set_without_objects_is_refused(coco):
    empty = dataclasses.replace(coco, report=dataclasses.replace(coco.report, objects=0))
    with pytest.raises(DatasetError, match="has no object to learn from"):
        ImageSets(empty, coco).check()
    ImageSets(coco, empty).check()


def test_other_classes_are_refused(coco):
    other = dataclasses.replace(coco, class_names=("cat", *coco.class_names[1:]))
    with pytest.raises(DatasetError, match="validation set has classes cat"):
        ImageSets(coco, other).check()


def test_a_damaged_validation_image_is_left_out_and_told(coco, capsys):
    coco.examples[0].path.write_bytes(b"no image")
    sets = ImageSets(coco, coco).with_sound_validation()
    assert len(sets.validation.examples) == 1 and len(sets.training.examples) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "images that cannot be decoded, left out with their objects: 1" in line


def test_a_validation_set_without_a_usable_image_is_refused(coco):
    for example in coco.examples:
        example.path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="none of 2 images"):
        ImageSets(coco, coco).with_sound_validation()
