"""Two tiny artifacts side by side; what is counted is what the file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quantization import artifact_facts, main
from export.builder_onnxruntime import build_onnxruntime
from tests.benchmarks.artifacts import write_pair
from tests.calibration.tiny_network import write_tiny_network


def run(artifacts: dict[str, Path], out: Path) -> int:
    words = [word for p, path in artifacts.items() for word in (f"--{p}", str(path))]
    return main([*words, "--rounds", "7", "--threads", "1", "--out", str(out)])


def test_latency_and_size_of_both(tmp_path: Path):
    artifacts = write_pair(tmp_path)
    assert run(artifacts, tmp_path / "r.json") == 0
    body = json.loads((tmp_path / "r.json").read_text())
    assert {p: len(s["values"]) for p, s in body["samples_ms"].items()} == {"fp32": 7, "int8": 7}
    medians = [body["samples_ms"][precision]["median"] for precision in artifacts]
    ratio = body["ratios"]["fp32 / int8"]["of_medians"]
    assert ratio == pytest.approx(medians[0] / medians[1])
    for precision, artifact in artifacts.items():
        assert body["facts"][precision]["bytes"] == artifact.stat().st_size
        assert len(body["settings"]["artifact_sha256"][precision]) == 64


def test_convolutions_are_counted_in_the_file(tmp_path: Path):
    source = write_tiny_network(tmp_path / "net.onnx")
    build_onnxruntime(source, tmp_path / "built.onnx", "fp32")
    facts = artifact_facts(tmp_path / "built.onnx")
    assert facts["float_convolutions"] > 5 and facts["int8_convolutions"] == 0


def test_a_missing_artifact_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    artifacts = write_pair(tmp_path)
    artifacts["int8"].unlink()
    assert run(artifacts, tmp_path / "r.json") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no file at" in error
    assert not (tmp_path / "r.json").exists()
