"""The build command: writing artifacts, refusing bad input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from export.build_engine import main
from export.choose_target import TARGETS
from runtime.atomic_file import sha256_of
from runtime.contract import contract_path, read_contract, write_contract
from runtime.errors import BackendError
from runtime.trt_module import load_tensorrt_rtx
from tests.calibration.tiny_network import make_contract, write_tiny_network

try:
    load_tensorrt_rtx()
    MISSING = ""
except BackendError as error:
    MISSING = str(error)


@pytest.fixture(name="source")
def portable_model(tmp_path: Path) -> Path:
    return write_tiny_network(tmp_path / "tiny.onnx")


def fails(capsys: pytest.CaptureFixture[str], source: Path, out: Path, *more: str) -> str:
    """Run a command that must fail cleanly; returns its one line."""
    assert main(["--onnx", str(source), "--out", str(out), *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    left = [p.name for p in out.parent.iterdir() if p.name.startswith((".", "built"))]
    assert left == []
    return lines[0]


def test_a_build_for_onnx_runtime(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "tiny.onnxruntime.onnx"
    assert main(["--onnx", str(source), "--target", "onnxruntime", "--out", str(out)]) == 0
    contract = read_contract(out)
    assert contract.target == "onnxruntime" and contract.precision == "fp32"
    step = contract.provenance[-1]
    assert step.step == "build" and step.sha256 == sha256_of(source)
    assert step.tool.startswith("onnxruntime ")
    first, last = capsys.readouterr().out.splitlines()
    assert first == "building for onnxruntime: asked for"
    assert "11 FP32" in last


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_build_for_tensorrt_rtx(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiny.engine"
    argv = ["--onnx", str(source), "--target", "tensorrt-rtx", "--out", str(out)]
    assert main([*argv, "--compute-capability", "8.9"]) == 0
    contract = read_contract(out)
    assert contract.target == "tensorrt-rtx"
    assert contract.provenance[-1].tool.startswith("tensorrt-rtx 1.")
    assert "for compute capabilities 8.9;" in capsys.readouterr().out


def test_a_target_that_is_not_installed(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise BackendError("TensorRT-RTX is not installed; pip install --editable '.[rtx]'")

    monkeypatch.setattr("export.builder_tensorrt_rtx.load_tensorrt_rtx", missing)
    message = fails(capsys, source, tmp_path / "built.engine", "--target", "tensorrt-rtx")
    assert "pip install --editable '.[rtx]'" in message


def test_a_missing_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no file at" in fails(capsys, tmp_path / "none.onnx", tmp_path / "built.onnx")


def test_a_missing_contract(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract_path(source).unlink()
    assert "no contract" in fails(capsys, source, tmp_path / "built.onnx")


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt-rtx"])
@pytest.mark.parametrize("garbage", [False, True])
def test_a_broken_model(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, garbage: bool
) -> None:
    if target == "tensorrt-rtx" and MISSING:
        pytest.skip(MISSING)
    if garbage:
        source.write_bytes(b"garbage" * 100)
    else:
        os.truncate(source, source.stat().st_size // 2)
    out = tmp_path / "built.bin"
    assert "cut short" in fails(capsys, source, out, "--target", target)
    write_contract(make_contract(), source)  # even where the digest agrees
    assert "not a complete ONNX model" in fails(capsys, source, out, "--target", target)


def test_a_wrong_precision_in_the_contract(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_contract(make_contract("int8"), source)
    message = fails(capsys, source, tmp_path / "built.onnx", "--target", "onnxruntime")
    assert "no INT8 convolution" in message


def test_an_artifact_that_was_built_already(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_contract(make_contract(target="onnxruntime"), source)
    message = fails(capsys, source, tmp_path / "built.onnx")
    assert "was built for onnxruntime already" in message


def test_the_output_cannot_be_the_input(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sha256_of(source)
    assert "expected a new file's name" in fails(capsys, source, source)
    assert sha256_of(source) == before


def test_a_batch_below_one(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(capsys, source, tmp_path / "built.onnx", "--max-batch", "0")
    assert "argument --max-batch: got '0'" in message


def test_help_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(target in printed for target in TARGETS)
