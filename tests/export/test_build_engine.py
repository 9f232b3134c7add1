"""The build command: choosing a target, writing artifacts, refusing bad input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from export import build_engine
from export.build_engine import choose_target, main
from runtime.atomic_file import sha256_of
from runtime.contract import contract_path, read_contract, write_contract
from runtime.errors import BackendError, BuildError
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


def fake_machine(
    monkeypatch: pytest.MonkeyPatch, gpu: tuple[int, int] | None, installed: bool = True
) -> None:
    """Pretend that this machine has a GPU, and TensorRT-RTX or not."""

    def load() -> None:
        if not installed:
            raise BackendError("TensorRT-RTX is not installed")

    monkeypatch.setattr(build_engine, "gpu_compute_capability", lambda: gpu)
    monkeypatch.setattr(build_engine, "load_tensorrt_rtx", load)


def fails(capsys: pytest.CaptureFixture[str], source: Path, out: Path, *more: str) -> str:
    """Run a command that must fail cleanly; returns its one line."""
    assert main(["--onnx", str(source), "--out", str(out), *more]) == 2
    errors = capsys.readouterr().err.splitlines()
    lines = [line for line in errors if not line.startswith("building for")]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    left = [p.name for p in out.parent.iterdir() if p.name.startswith((".", "built"))]
    assert left == []
    return lines[0]


def test_auto_takes_onnx_runtime_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None)
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and "no NVIDIA GPU" in reason


def test_auto_takes_rtx_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, (8, 9))
    assert choose_target("auto")[0] == "tensorrt-rtx"


@pytest.mark.parametrize(
    ("gpu", "installed", "why"),
    [((8, 9), False, "not installed"), ((9, 0), True, "capability 9.0"), ((8, 7), True, "8.7")],
)
def test_auto_says_why_it_passed_rtx_over(
    monkeypatch: pytest.MonkeyPatch, gpu: tuple[int, int], installed: bool, why: str
) -> None:
    fake_machine(monkeypatch, gpu, installed)
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and why in reason


def test_a_named_target_is_taken_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None)
    assert choose_target("tensorrt-rtx") == ("tensorrt-rtx", "asked for")
    assert choose_target("onnxruntime") == ("onnxruntime", "asked for")


def test_full_tensorrt_is_not_built_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_engine, "load_tensorrt", lambda: None)
    with pytest.raises(BuildError, match="not built by this version; expected onnxruntime"):
        choose_target("tensorrt")


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
    printed = capsys.readouterr()
    assert "11 FP32" in printed.out
    assert printed.err == "building for onnxruntime: asked for\n"


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
        raise BackendError("TensorRT-RTX is not installed; install it: pip install 'cornerrt[rtx]'")

    monkeypatch.setattr("export.builder_tensorrt_rtx.load_tensorrt_rtx", missing)
    message = fails(capsys, source, tmp_path / "built.engine", "--target", "tensorrt-rtx")
    assert "pip install 'cornerrt[rtx]'" in message


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
    assert "--max-batch got 0" in message


def test_help_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(target in printed for target in build_engine.TARGETS)
