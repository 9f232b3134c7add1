"""Finished models and figures are kept by what they depend on."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from benchmarks.int8_accuracy_bench import (
    PARTS,
    Bench,
    Candidate,
    ap_of_parts,
    code_digest,
    measure_candidate,
    open_bench,
)
from benchmarks.int8_accuracy_report import study_parser
from calibration.accuracy import AccuracyMeter
from calibration.sessions import Form
from detectors.average_precision import coco_rows
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import Rows
from detectors.examples import Example
from detectors.shapes import ShapesSpec, write_dataset
from runtime.detections import Detections
from runtime.errors import ContractError, CornerRTError, UsageError
from tests.benchmarks.tiny_detector import tiny_detector, write_study


@dataclass(frozen=True)
class CountingMeter(AccuracyMeter):
    """Notes in which forms models were measured."""

    asked: list[Form] = field(default_factory=list)

    def detect(self, model: ModelProto) -> Rows:
        self.asked.append(self.form)
        rows = super().detect(model)
        return rows if self.form is Form.PORTABLE else rows[:1]


def open_tiny(folder: Path, images: int = 6) -> Bench:
    words = write_study(folder, images)
    return open_bench(study_parser("study", None).parse_args(words))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    opened = open_tiny(tmp_path)
    meter = opened.meter
    return replace(opened, meter=CountingMeter(meter.coco, meter.examples, meter.contract))


def candidate(stamp: int, calls: list[int], bias: float = 0.0) -> Candidate:
    def make() -> tuple[ModelProto, float]:
        calls.append(stamp)
        model = tiny_detector()
        model.doc_string = str(bias)
        return model, 1.25

    forms = (Form.PORTABLE, Form.ONNXRUNTIME)
    return Candidate("mse, per-channel", 3, {"stamp": stamp}, forms, make)


def test_figures_by_form(bench: Bench) -> None:
    found = measure_candidate(bench, candidate(1, []))
    assert found["label"] == "mse, per-channel" and found["seed"] == 3
    assert found["ap"]["portable"] > 0.9 > found["ap"]["onnxruntime"] > 0
    assert found["ap50"]["portable"] > 0.9 and found["seconds"] == 1.2
    assert found["ap_of_parts"] == {"portable": [], "onnxruntime": []}  # of one image
    assert found["sqnr_db"] > 60  # the model is the float one
    assert bench.meter.asked == [Form.PORTABLE, Form.ONNXRUNTIME]


def test_what_is_finished_is_not_made_again(bench: Bench) -> None:
    calls: list[int] = []
    first = measure_candidate(bench, candidate(1, calls))
    assert measure_candidate(bench, candidate(1, calls)) == first
    assert calls == [1] and len(bench.meter.asked) == 2


def test_another_stamp_makes_the_model_again_but_the_same_model_is_not_measured(
    bench: Bench,
) -> None:
    calls: list[int] = []
    measure_candidate(bench, candidate(1, calls))
    measure_candidate(bench, candidate(2, calls))
    assert calls == [1, 2] and len(bench.meter.asked) == 2
    measure_candidate(bench, candidate(3, calls, bias=1.0))
    assert calls == [1, 2, 3] and len(bench.meter.asked) == 4


def test_a_lost_model_is_made_again(bench: Bench) -> None:
    calls: list[int] = []
    measure_candidate(bench, candidate(1, calls))
    (model,) = bench.work.glob("*.onnx")
    model.unlink()
    measure_candidate(bench, candidate(1, calls))
    assert calls == [1, 1] and model.is_file()


def test_parts_are_scored_apart(tmp_path: Path) -> None:
    write_dataset(tmp_path / "shapes", ShapesSpec(2 * PARTS, seed=3))
    coco = read_coco(tmp_path / "shapes")
    # Right about every object of the first part, about none of the others.
    rows = [
        row
        for index, example in enumerate(coco.examples)
        for row in truth_rows(coco, example, right=index % PARTS == 0)
    ]
    found = ap_of_parts(coco, rows, coco.examples)
    assert len(found) == PARTS and found[0] == 1.0 and set(found[1:]) == {0.0}
    assert ap_of_parts(coco, rows, coco.examples[: PARTS - 1]) == []


def truth_rows(coco: CocoSet, example: Example, right: bool) -> Rows:
    boxes = example.boxes_xyxy.astype(np.float32) + (0 if right else 1000)
    scores = np.ones(len(boxes), np.float32)
    found = Detections(boxes, scores, example.class_ids.astype(np.int32))
    return coco_rows(example, found, coco.category_ids)


def test_seeds_take_their_own_images_and_fewer_are_a_part_of_more(tmp_path: Path) -> None:
    bench = open_tiny(tmp_path, images=12)
    four, eight = (set(bench.choose_images(n, 1).paths) for n in (4, 8))
    assert len(four) == 4 and len(eight) == 8 and four < eight
    assert set(bench.choose_images(4, 1).paths) == four
    assert set(bench.choose_images(4, 2).paths) != four


def test_a_pool_that_is_too_small_is_refused(tmp_path: Path) -> None:
    bench = open_tiny(tmp_path, images=2)
    with pytest.raises(UsageError, match="2 images; expected at least 3"):
        bench.choose_images(3, 1)


def test_the_float_model_is_as_good_as_itself(tmp_path: Path) -> None:
    bench = open_tiny(tmp_path)
    assert bench.meter.measure(bench.model).precision.ap > 0.9
    assert bench.sqnr.measure(bench.model) > 60
    settings = bench.settings()
    assert settings["images"] == 1 and len(settings["source_sha256"]) == 64
    assert not any(str(tmp_path) in str(value) for value in settings.values())


def test_missing_inputs_are_named(tmp_path: Path) -> None:
    words = write_study(tmp_path)
    options = study_parser("study", None).parse_args(words)
    for name, error in (("onnx", CornerRTError), ("data", CornerRTError)):
        broken = argparse.Namespace(**{**vars(options), name: tmp_path / "gone.onnx"})
        with pytest.raises(error, match=r"gone\.onnx"):
            open_bench(broken)
    (tmp_path / "tiny.onnx.json").unlink()
    with pytest.raises(ContractError):
        open_bench(options)


def test_the_code_that_quantizes_has_a_digest(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    file = tmp_path / "calibration" / "a.py"
    file.write_text("x = 1\n")
    first = code_digest(root=tmp_path)
    assert code_digest(root=tmp_path) == first
    file.write_text("x = 2\n")
    assert code_digest(root=tmp_path) != first
    assert code_digest() != code_digest(root=tmp_path)
