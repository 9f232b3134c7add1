"""What others measured: sensitivity and latency files, good and bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.report_extras import read_latency, read_sensitivity
from calibration.report_subjects import read_subjects
from runtime.errors import CalibrationError
from tests.calibration.report_sets import write_model

SENSITIVITY = {
    "metric": "ap",
    "images": 100,
    "float": 0.8,
    "int8": 0.79,
    "nodes": [
        {"node": "a/Conv", "module": "a", "block": "a", "only_int8": 0.01, "only_float": 0.002}
    ],
    "blocks": [{"block": "a", "nodes": ["a/Conv"], "only_int8": 0.01, "only_float": 0.002}],
}
BENCHMARK = {
    "format": "cornerrt-benchmark-1",
    "benchmark": "quantization",
    "started": "2026-11-22T13:14:19+00:00",
    "machine": {"cpu": "CPU", "cores": 2, "gpu": "none used"},
    "settings": {"artifact_sha256": {}},
    "samples_ms": {"fp32": {"median": 25.5, "q1": 25.0, "q3": 26.0, "values": []}},
}
EVALUATION = {
    "format": "cornerrt-evaluation-1",
    "model": "m.onnx",
    "network_ms": 12.5,
    "options": {"sha256": ""},
    "data": {"sha256": "d", "annotations": "val.json"},
}


@pytest.fixture(name="subjects")
def fp32_subject(tmp_path: Path):
    return read_subjects({"fp32": write_model(tmp_path / "a.onnx")})


def write(path: Path, body: object) -> Path:
    path.write_text(json.dumps(body))
    return path


def test_sensitivity_is_read_in_points(tmp_path: Path):
    found = read_sensitivity(write(tmp_path / "s.json", SENSITIVITY))
    assert found.unit == "points of AP" and found.images == 100
    assert found.nodes[0].name == "a/Conv" and found.nodes[0].only_int8 == pytest.approx(1.0)
    assert found.blocks[0].only_float == pytest.approx(0.2)


def test_sensitivity_in_decibels_stays_in_decibels(tmp_path: Path):
    found = read_sensitivity(write(tmp_path / "s.json", SENSITIVITY | {"metric": "sqnr_db"}))
    assert found.unit == "dB of SQNR" and found.blocks[0].only_int8 == 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "mAP"},
        {"nodes": [{"node": "a"}]},
        {"blocks": [{"block": "a", "only_int8": float("nan"), "only_float": 0}]},
        {"images": None},
        {"images": float("inf")},
    ],
)
def test_another_file_is_no_sensitivity(tmp_path: Path, changes):
    path = write(tmp_path / "s.json", SENSITIVITY | changes)
    with pytest.raises(CalibrationError, match=r"s\.json is no sensitivity.*make sensitivity"):
        read_sensitivity(path)


def test_a_benchmark(tmp_path: Path, subjects):
    path = write(tmp_path / "b.json", BENCHMARK)
    (entry,) = read_latency(path, subjects, "d")
    assert (entry.label, entry.median_ms, entry.quartiles_ms) == (
        "quantization: fp32",
        25.5,
        (25, 26),
    )
    assert entry.where == "CPU, 2 cores, GPU none used; 2026-11-22" and not entry.is_subject


def test_a_benchmark_of_this_very_file(tmp_path: Path, subjects):
    digests = {"artifact_sha256": {"fp32": subjects["fp32"].contract.artifact_sha256}}
    (entry,) = read_latency(
        write(tmp_path / "b.json", BENCHMARK | {"settings": digests}), subjects, "d"
    )
    assert entry.is_subject


def test_an_evaluation(tmp_path: Path, subjects):
    (entry,) = read_latency(write(tmp_path / "e.json", EVALUATION), subjects, "d")
    assert entry.median_ms == 12.5 and entry.quartiles_ms is None and not entry.is_subject


def test_an_evaluation_that_timed_nothing(tmp_path: Path, subjects):
    path = write(tmp_path / "e.json", EVALUATION | {"network_ms": None})
    assert read_latency(path, subjects, "d") == []


def test_an_evaluation_of_other_images(tmp_path: Path, subjects):
    path = write(tmp_path / "e.json", EVALUATION)
    with pytest.raises(CalibrationError, match=r"on val\.json, other images"):
        read_latency(path, subjects, "another")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"format": "x"}, "says format 'x'"),
        ([], "holds no JSON object"),
        ({k: v for k, v in BENCHMARK.items() if k != "machine"}, "not complete"),
        ({k: v for k, v in EVALUATION.items() if k != "data"}, "not complete"),
        (BENCHMARK | {"samples_ms": []}, "not complete"),
    ],
)
def test_other_files_are_no_latency(tmp_path: Path, subjects, body, message):
    with pytest.raises(CalibrationError, match=message):
        read_latency(write(tmp_path / "l.json", body), subjects, "d")


def test_missing_and_broken_files(tmp_path: Path, subjects):
    with pytest.raises(CalibrationError, match=r"no .*none\.json; expected"):
        read_sensitivity(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"format"')
    with pytest.raises(CalibrationError, match="is not JSON"):
        read_latency(tmp_path / "cut.json", subjects, "d")
