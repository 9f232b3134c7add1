"""The plan's file: what is written is read, and everything else is refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from detectors.int8_plan import ConvolutionScales, read_plan, write_plan
from runtime.errors import CalibrationError
from tests.detectors.int8_plans import empty_plan

PLAN = empty_plan(
    convolutions={"a": ConvolutionScales(0.1, (0.5, 1 / 3))},
    modules={"pool": 0.1},
    joined={"b": 0.2},
    additions={"a/Add": (None, 0.25)},
    thresholds={"a/Relu": 12.7},
    left_float={"c/Conv": "stem"},
)


def test_a_plan_comes_back(tmp_path):
    write_plan(PLAN, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == PLAN
    assert read_plan(tmp_path / "plan.json").digest() == PLAN.digest()


def test_a_plan_that_rounds_nothing_comes_back(tmp_path):
    write_plan(empty_plan(), tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == empty_plan()


def test_the_digest_knows_every_value_but_not_the_layout(tmp_path):
    assert PLAN.digest() != empty_plan().digest()
    write_plan(PLAN, tmp_path / "plan.json")
    content = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(content))
    assert read_plan(tmp_path / "plan.json").digest() == PLAN.digest()


def changed(path: Path, **changes: Any) -> Path:
    write_plan(PLAN, path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modules": None}, "no key 'modules'"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"format": "other"}, "format 'other' instead of 'cornerrt-int8-plan-1'"),
        ({"model": 3}, "model is no text"),
        ({"modules": {"pool": 0}}, "pool has 0 instead of a positive number"),
        ({"modules": {"pool": math.inf}}, "pool has inf instead of a positive number"),
        ({"modules": {"pool": True}}, "pool has True instead of a positive number"),
        ({"modules": {"pool": 1e300}}, "pool has 1e+300 instead of a positive number of 32 bits"),
        ({"modules": {"pool": 1e-300}}, "pool has 1e-300 instead of a positive number of 32 bits"),
        ({"modules": {"pool": 10**400}}, "instead of a positive number of 32 bits"),
        ({"modules": []}, "no INT8 plan"),
        ({"additions": {"a/Add": [1.0]}}, "no INT8 plan"),
        ({"additions": {"a/Add": [-1.0, None]}}, "a/Add has -1.0 instead"),
        ({"convolutions": {"a": {"input": 1.0}}}, "no key 'weights'"),
        ({"convolutions": {"a": {"input": 1.0, "weights": []}}}, "a has no scales of weights"),
        ({"thresholds": {"t": "x"}}, "t has 'x' instead of a positive number"),
        ({"left_float": {"c/Conv": 1}}, "c/Conv is no text"),
    ],
)
def test_what_is_no_plan_is_refused_by_its_key(tmp_path, changes, message):
    path = changed(tmp_path / "plan.json", **changes)
    with pytest.raises(CalibrationError, match="make it again") as caught:
        read_plan(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(CalibrationError, match="make it again"):
        read_plan(tmp_path / "plan.json")


def test_a_missing_plan_says_how_to_make_one(tmp_path):
    with pytest.raises(CalibrationError, match=r"no plan at .*calibration\.quantization_plan"):
        read_plan(tmp_path / "plan.json")
