"""Running the report's models: figures, how they came about, and what cannot be run."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from calibration.report_measure import (
    HALF_ON_PROCESSOR,
    INT8_AS_WRITTEN,
    Measurement,
    Unmeasured,
    measure,
    measure_if_possible,
    read_images,
)
from calibration.report_subjects import Subject
from export.onnx_graph import save_model
from export.precision import convert_to_fp16
from runtime.contract import read_contract, write_contract
from runtime.errors import CalibrationError, DatasetError
from tests.calibration.report_sets import CLASS_NAMES, write_model, write_set


@pytest.fixture(name="images")
def image_set(tmp_path: Path):
    return read_images(write_set(tmp_path / "val"), None, CLASS_NAMES)


def subject_of(path: Path, precision: str = "fp32", **changes: object) -> Subject:
    write_model(path, precision, **changes)
    contract = read_contract(path)
    return Subject(precision, path, contract, path.stat().st_size)


def test_a_model_is_measured(tmp_path: Path, images):
    found = measure(subject_of(tmp_path / "a.onnx"), images)
    assert found.scores.precision.ap == 1.0 and found.scores.precision.images == 4
    assert found.how == "ONNX Runtime, portable file" and len(found.rows) == 12


@pytest.mark.parametrize(
    ("precision", "target", "how"),
    [
        ("int8", "portable", INT8_AS_WRITTEN),
        ("int8", "onnxruntime", "ONNX Runtime, the file built for it: integer kernels"),
        ("fp32", "onnxruntime", "ONNX Runtime, the file built for it: float kernels"),
    ],
)
def test_how_it_was_measured(tmp_path: Path, images, precision, target, how):
    assert measure(subject_of(tmp_path / "a.onnx", precision, target=target), images).how == how


def test_a_portable_half_model_is_emulated(tmp_path: Path, images):
    path = tmp_path / "half.onnx"
    write_model(path, "fp16")
    save_model(convert_to_fp16(onnx.load(path)), path)
    write_contract(read_contract(path, verify=False), path)
    subject = Subject("fp16", path, read_contract(path), 1)
    found = measure_if_possible(subject, images)
    assert isinstance(found, Measurement)
    assert found.how == HALF_ON_PROCESSOR and found.subject is subject
    assert found.scores.precision.ap > 0.9


def test_what_cannot_run_has_a_reason(tmp_path: Path, images):
    found = measure_if_possible(
        subject_of(tmp_path / "e.engine", "fp16", target="tensorrt"), images
    )
    assert isinstance(found, Unmeasured) and "\n" not in found.reason and found.reason


def test_a_model_that_finds_nothing_scores_0(tmp_path: Path, images):
    found = measure(subject_of(tmp_path / "a.onnx", scores=(0.0, 0.0, 0.0)), images)
    assert found.rows == [] and found.scores.precision.ap == 0


def test_fewer_images(tmp_path: Path):
    images = read_images(write_set(tmp_path / "val"), 3, CLASS_NAMES)
    assert len(images.examples) == 3 and len(images.coco.examples) == 4


def test_images_of_other_classes(tmp_path: Path):
    folder = write_set(tmp_path / "val", names=("cat", "dog"))
    with pytest.raises(CalibrationError, match="has classes cat, dog; the models find square"):
        read_images(folder, None, CLASS_NAMES)


def test_images_without_objects(tmp_path: Path):
    folder = write_set(tmp_path / "val")
    text = (folder / "annotations.json").read_text()
    empty = text.split('"annotations"')[0] + '"annotations": [], "categories"'
    (folder / "annotations.json").write_text(empty + text.split('"categories"')[1])
    with pytest.raises(CalibrationError, match="annotates no object on 4 images"):
        read_images(folder, None, CLASS_NAMES)


def test_missing_images(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"no .*annotations\.json"):
        read_images(tmp_path / "none", None, CLASS_NAMES)
