"""A measurement in JSON: a round trip, and files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import UsageError
from runtime.measurement import FORMAT
from runtime.measurement_file import measurement_json, read_measurement, write_measurement
from tests.measurements import journey, least_run, measurement, run


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.json"
    made = measurement(run("a.onnx"), least_run("b.onnx"))
    write_measurement(made, path)
    assert read_measurement(path) == made
    assert json.loads(path.read_text())["format"] == FORMAT


def test_written_text_is_the_same_after_reading(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_measurement(measurement(), path)
    assert measurement_json(read_measurement(path)) == path.read_text()


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        measurement_json(measurement(least_run(journey=journey(decode_ms=float("nan")))))


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    write_measurement(measurement(), path)
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda body: body.update(format="cornerrt-measurement-0"),
            r"m\.json says format 'cornerrt-measurement-0'; expected 'cornerrt-measurement-1'; "
            "measure again",
        ),
        (lambda body: body.pop("format"), r"says format None; expected"),
        (lambda body: body["runs"][0].pop("journey"), r"m\.json:runs\[0\] lacks key 'journey'"),
        (lambda body: body.update(runs=3), r"m\.json:runs is 3; expected a list"),
        (
            lambda body: body["runs"][0]["journey"]["bare"].update(p50_ms="fast"),
            r"journey:bare:p50_ms is 'fast'; expected float",
        ),
        (
            lambda body: body["runs"][0]["journey"].update(rounds_ms=[[1.0], [float("nan")]]),
            r"journey:rounds_ms\[1\]\[0\] is nan; expected a finite number",
        ),
        (
            lambda body: body["runs"][0]["journey"].update(rounds_ms=[[1.0], []]),
            r"m\.json has a round without frames of build/.*; expected one at least; measure again",
        ),
        (
            lambda body: body["runs"][0]["journey"]["stages"][0].update(rounds_ms=[[]]),
            r"m\.json has a round without frames",
        ),
    ],
)
def test_another_version_or_a_wrong_key_is_one_clear_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = edited(tmp_path / "m.json", change)
    with pytest.raises(UsageError, match=message):
        read_measurement(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"m\.json is not JSON .*; measure again"):
        read_measurement(path)


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text("[]")
    with pytest.raises(UsageError, match="says format None"):
        read_measurement(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.json cannot be read \(No such file"):
        read_measurement(tmp_path / "m.json")
