"""The calibrate command: what it writes, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from calibration.calibrate import main
from export.onnx_graph import load_model
from runtime.atomic_file import sha256_of
from runtime.contract import contract_path, read_contract, write_contract
from tests.calibration.tiny_network import (
    make_contract,
    make_tiny_network,
    random_frames,
    write_images,
    write_tiny_network,
)
from tests.export.tiny_models import op_types, run


@pytest.fixture(name="source")
def float_model(tmp_path: Path) -> Path:
    return write_tiny_network(tmp_path / "tiny.onnx")


@pytest.fixture(name="images")
def image_folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", 6)


def arguments(source: Path, images: Path, out: Path, *more: str) -> list[str]:
    return ["--onnx", str(source), "--images", str(images), "--out", str(out), *more]


def fails(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run a command that must fail cleanly; returns its one line."""
    out = Path(argv[argv.index("--out") + 1])
    assert main(argv) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "calibrating" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    left = [p.name for p in out.parent.iterdir() if p.name.startswith((".", "int8"))]
    assert left == []
    return lines[0]


def test_it_writes_a_quantized_model_and_its_contract(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "int8.onnx"
    assert main(arguments(source, images, out, "--max-images", "4")) == 0
    contract = read_contract(out)
    assert contract.precision == "int8" and contract.target == "portable"
    step = contract.provenance[-1]
    assert step.step == "calibrate" and step.sha256 == sha256_of(source)
    assert "mse ranges from 4 images with SHA-256" in step.note
    assert "QuantizeLinear" in op_types(load_model(out))
    assert "9 of 11 convolutions" in capsys.readouterr().out


def test_the_result_is_reproducible(source: Path, images: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(arguments(source, images, tmp_path / name / "int8.onnx")) == 0
    a, b = (sha256_of(tmp_path / name / "int8.onnx") for name in ("a", "b"))
    assert a == b


@pytest.mark.parametrize("method", ["mse", "percentile", "minmax"])
def test_every_method_stays_close(source: Path, images: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--method", method)) == 0
    frame = random_frames(1)[0]
    expected, found = (run(m, frames=frame)[0] for m in (make_tiny_network(), load_model(out)))
    assert np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()


def test_explain_gives_a_reason_per_convolution(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(source, images, tmp_path / "int8.onnx", "--explain")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert any("float  stem/Conv" in line and "reads the image" in line for line in lines)


def test_exclude_keeps_convolutions_float(source: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--exclude", "join")) == 0
    assert "7 of 11 convolutions" in read_contract(out).provenance[-1].note


def test_a_half_base(source: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--base", "fp16")) == 0
    assert "base fp16" in read_contract(out).provenance[-1].note


def test_a_missing_model(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = arguments(tmp_path / "none.onnx", images, tmp_path / "int8.onnx")
    assert "no file at" in fails(capsys, argv)


def test_a_model_without_contract(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract_path(source).unlink()
    assert "no contract" in fails(capsys, arguments(source, images, tmp_path / "int8.onnx"))


def test_a_truncated_model(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.truncate(source, source.stat().st_size // 2)
    argv = arguments(source, images, tmp_path / "int8.onnx")
    assert "cut short" in fails(capsys, argv)
    write_contract(make_contract(), source)  # even where the digest agrees
    assert "not a complete ONNX model" in fails(capsys, argv)


def test_an_empty_folder(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    argv = arguments(source, tmp_path / "empty", tmp_path / "int8.onnx")
    assert "holds no image" in fails(capsys, argv)


def test_an_image_that_is_none(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "zzz.png").write_bytes(b"\x89PNG")
    argv = arguments(source, images, tmp_path / "int8.onnx")
    assert "zzz.png" in fails(capsys, argv)


def test_a_model_that_is_quantized_already(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = tmp_path / "once" / "int8.onnx"
    assert main(arguments(source, images, once)) == 0
    capsys.readouterr()
    message = fails(capsys, arguments(once, images, tmp_path / "int8.onnx"))
    assert "is int8 for portable; expected the portable fp32 export" in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--exclude", "["], "expected a regular expression"),
        (["--exclude", "."], "none of 11 convolutions"),
        (["--max-images", "0"], "--max-images got 0"),
    ],
)
def test_bad_options(
    source: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    argv = arguments(source, images, tmp_path / "int8.onnx", *more)
    assert message in fails(capsys, argv)


def test_a_bad_output_name(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(source, images, tmp_path / "model.engine")
    assert "expected a name that ends in .onnx" in fails(capsys, argv)


def test_the_output_cannot_be_the_input(
    source: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sha256_of(source)
    assert "expected another --out" in fails(capsys, arguments(source, images, source))
    assert sha256_of(source) == before
