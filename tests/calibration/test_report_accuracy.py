"""The first sections: signs, words for what is missing, and the right verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import report_accuracy
from calibration.report_accuracy import (
    ABSENT,
    Findings,
    accuracy,
    difference,
    headline,
    per_class,
    points,
)
from calibration.report_comparison import Comparison
from calibration.report_measure import Measurement, Unmeasured, read_images
from calibration.report_subjects import Int8Share, Subject
from detectors.average_precision import AveragePrecision, AverageRecall, ClassPrecision, Scores
from runtime.contract import ProvenanceStep
from tests.builders import TINY_CONTRACT
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD, CLASS_NAMES, write_set

NOTHING_CHANGED = Findings(None, None, Comparison((), 0, 0, np.zeros((0, 2))))


def measured(precision: str, ap: float, classes=((0.8, 0.9), (0.5, 0.6))) -> Measurement:
    contract = replace(TINY_CONTRACT, precision=precision)
    subject = Subject(precision, Path(f"{precision}{AWKWARD}.onnx"), contract, 1_000_000)
    per = tuple(
        ClassPrecision(name, *values, 7) for name, values in zip(CLASS_NAMES, classes, strict=True)
    )
    figures = AveragePrecision(ap, ap, ap, -1.0, ap, ap, 100)
    return Measurement(subject, "somehow", Scores(figures, AverageRecall(*[0.0] * 6), per), [])


def results(fp32: float = 0.8, int8: float = 0.79, **more):
    return {"fp32": measured("fp32", fp32), **more, "int8": measured("int8", int8)}


def text_of(markup: str) -> str:
    return Page(markup).text


@pytest.mark.parametrize(
    ("value", "before", "content", "kind"),
    [
        (0.79, 0.8, "\u25bc\u00a0\u22121.00", "number worse"),
        (0.81, 0.8, "\u25b2\u00a0+1.00", "number better"),
        (0.80001, 0.8, "\u00b10.00", "number same"),
        (0.79999, 0.8, "\u00b10.00", "number same"),
        (-1.0, 0.8, ABSENT, ""),
        (0.8, -1.0, ABSENT, ""),
    ],
)
def test_a_difference_is_signed_and_marked(value, before, content, kind):
    cell = difference(value, before)
    assert (cell.content, cell.kind) == (content, kind)


def test_points_of_nothing():
    assert points(-1.0) == ABSENT and points(0.0) == "0.00" and points(0.79703) == "79.70"


def test_the_headline_names_the_cost_and_whether_it_is_chance():
    few = text_of(headline(results(), NOTHING_CHANGED))
    assert "INT8 costs 1.00 AP points on 100 images, which are too few" in few
    sure, unsure = (
        text_of(headline(results(), replace(NOTHING_CHANGED, error=error)))
        for error in (0.0049, 0.0051)
    )
    assert "is 0.49 points" in sure and "time): more than chance explains." in sure
    assert "time): chance may explain it." in unsure
    assert "INT8 gains 1.00" in text_of(headline(results(0.8, 0.81), NOTHING_CHANGED))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (Int8Share(40, 53, 94.36), "40 of 53 convolutions compute in INT8; they do 94.4 %"),
        (Int8Share(40, 53, None), "not known without the portable FP32 file"),
        (None, "How much of the engine runs in INT8"),
    ],
)
def test_the_headline_tells_how_much_is_int8(share, words):
    assert words in text_of(headline(results(), replace(NOTHING_CHANGED, share=share)))


def test_the_headline_tells_what_the_gate_said():
    assert "No accuracy gate blessed" in text_of(headline(results(), NOTHING_CHANGED))
    passed = results()
    subject = passed["int8"].subject
    steps = (ProvenanceStep("gate", "0" * 64, "tool", f"drop 0.2 {AWKWARD}"),)
    subject = replace(subject, contract=replace(subject.contract, provenance=steps))
    passed["int8"] = replace(passed["int8"], subject=subject)
    assert f"blessed this file: drop 0.2 {AWKWARD}." in text_of(headline(passed, NOTHING_CHANGED))


def test_a_model_that_cannot_run_has_words_and_no_number(tmp_path: Path):
    half = Unmeasured(measured("fp16", 0.0).subject, f"no GPU {AWKWARD}")
    given = results(fp16=half)
    assert "not measured here" in text_of(headline(given, NOTHING_CHANGED))
    images = read_images(write_set(tmp_path / "val"), None, CLASS_NAMES)
    text = text_of(accuracy(given, images))
    assert f"not measured: no GPU {AWKWARD}." in text
    assert text.count("not measured") == 7 and "FP16 less FP32" not in text
    assert ABSENT in text and "INT8 less FP32" in text and "on all 4 images" in text
    fewer = read_images(images.path, 3, CLASS_NAMES)
    assert "on 3 of 4 images" in text_of(accuracy(given, fewer))


def test_classes_are_sorted_by_loss():
    after = measured("int8", 0.7, ((0.79, 0.9), (0.45, 0.6)))
    page = Page(per_class({"fp32": measured("fp32", 0.8), "int8": after}))
    assert page.text.index("circle") < page.text.index("square")
    assert {"100.0%", "20.0%"} <= set(page.values("rect", "width"))


def test_many_classes_are_folded(monkeypatch):
    assert "details" not in Page(per_class(results())).tags
    monkeypatch.setattr(report_accuracy, "CLASSES_SHOWN", 1)
    assert "All 2 classes" in text_of(per_class(results()))


def test_a_class_without_objects():
    both = [measured(p, 0.8, ((0.8, 0.9), (-1.0, -1.0))) for p in ("fp32", "int8")]
    text = text_of(per_class(dict(zip(("fp32", "int8"), both, strict=True))))
    assert text.count(ABSENT) == 4
