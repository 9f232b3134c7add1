"""The calibrate command: what it writes, and what it refuses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from calibration.calibrate import main
from calibration.observers import Observer
from calibration.range_cache import load_histograms
from calibration.ranges import RangeMethod
from export.onnx_graph import load_model, save_model
from runtime.atomic_file import sha256_of
from runtime.contract import TensorSpec, contract_path, read_contract, write_contract
from tests.calibration.test_range_cache import largest_file
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


def change_weights(source: Path, out: Path, factor: float, name: str = "stem.weight") -> Path:
    """Write another model with a contract that fits; returns ``out``."""
    model = load_model(source)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            value = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    save_model(model, out)
    write_contract(make_contract(), out)
    return out


def fails(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run a command that must fail cleanly; returns its one line."""
    out = Path(argv[argv.index("--out") + 1])
    assert main(argv) == 2
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
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


@pytest.mark.parametrize("method", [method.value for method in RangeMethod])
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
    assert len(lines) == 27  # of nodes, kinds of nodes, the count and the file
    assert any("float  stem/Conv" in line and "reads the image" in line for line in lines)


def test_exclude_keeps_convolutions_float(source: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--exclude", "join")) == 0
    assert "7 of 11 convolutions" in read_contract(out).provenance[-1].note


@pytest.mark.parametrize("target", ["portable", "onnxruntime", "tensorrt", "tensorrt-rtx"])
def test_a_target_and_weights_are_noted(
    source: Path, images: Path, tmp_path: Path, target: str
) -> None:
    out = tmp_path / "int8.onnx"
    more = ["--target", target, "--weights", "per-tensor", "--weight-method", "mse"]
    assert main(arguments(source, images, out, *more)) == 0
    note = read_contract(out).provenance[-1].note
    assert note.endswith(f"per-tensor weights by mse, for {target}, effort good")
    quantized = [n for n in load_model(out).graph.node if n.op_type == "QuantizeLinear"]
    skips = [n for n in quantized if n.input[0] == "join.1/Conv"]
    assert len(skips) == (target != "tensorrt-rtx")


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


def test_a_quantized_graph_with_the_contract_of_a_float_one(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = tmp_path / "once" / "int8.onnx"
    assert main(arguments(source, images, once)) == 0
    write_contract(make_contract(), once)
    capsys.readouterr()
    assert "has quantize nodes already" in fails(
        capsys, arguments(once, images, tmp_path / "int8.onnx")
    )


def test_the_contract_of_another_model(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = change_weights(source, tmp_path / "other.onnx", 2.0)
    contract_path(source).write_bytes(contract_path(other).read_bytes())
    message = fails(capsys, arguments(source, images, tmp_path / "int8.onnx"))
    assert "tiny.onnx" in message and "SHA-256" in message


def test_a_contract_of_another_size(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = (TensorSpec("frames", "uint8", (1, 32, 32, 3)),)
    write_contract(replace(make_contract(), size_hw=(32, 32), inputs=inputs), source)
    message = fails(capsys, arguments(source, images, tmp_path / "int8.onnx"))
    assert "could not run the model" in message and "export it again" in message


def test_black_images(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "black").mkdir()
    cv2.imwrite(str(tmp_path / "black" / "a.png"), np.zeros((9, 9, 3), np.uint8))
    argv = arguments(source, tmp_path / "black", tmp_path / "int8.onnx")
    assert "nothing but black in all images (1)" in fails(capsys, argv)


def test_activations_that_are_not_finite(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_weights(source, source, 3e38)
    message = fails(capsys, arguments(source, images, tmp_path / "int8.onnx"))
    assert "stem/Relu became infinite or NaN on image 1" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("tensor", ["head.1.weight", "head.1.bias"])  # of a layer that stays float
def test_weights_that_are_not_finite(
    source: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tensor: str,
    value: float,
) -> None:
    change_weights(source, source, value, tensor)
    message = fails(capsys, arguments(source, images, tmp_path / "int8.onnx"))
    assert "head.1/Conv has weights that are infinite or NaN; expected finite" in message


@pytest.mark.parametrize("more", [[], ["--no-cache"]])
def test_a_full_disk(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    with largest_file(100):
        message = fails(capsys, arguments(source, images, tmp_path / "int8.onnx", *more))
    assert "too large" in message and ".part" not in message


def test_another_method_runs_no_image_again(
    source: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out)) == 0
    assert load_histograms(tmp_path / "int8.ranges.npz")
    capsys.readouterr()
    monkeypatch.setattr(Observer, "__init__", None)  # calling it would be an error
    assert main(arguments(source, images, out, "--method", "entropy")) == 0
    printed = capsys.readouterr()
    assert "entropy ranges from 6 images" in printed.out
    assert "note: ranges of 6 of 6 images are taken from" in printed.err
    kept = sha256_of(out)
    assert main(arguments(source, images, out, "--exclude", "join", "--base", "fp16")) == 0
    assert main(arguments(source, images, out, "--method", "entropy")) == 0
    assert sha256_of(out) == kept


def test_a_named_cache_and_none(source: Path, images: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out" / "int8.onnx", tmp_path / "elsewhere" / "ranges.npz"
    assert main(arguments(source, images, out, "--no-cache")) == 0
    assert sorted(p.name for p in out.parent.iterdir()) == ["int8.onnx", "int8.onnx.json"]
    assert main(arguments(source, images, out, "--cache", str(cache))) == 0
    assert sorted(p.name for p in out.parent.iterdir()) == ["int8.onnx", "int8.onnx.json"]
    assert load_histograms(cache)


def test_the_cache_of_another_model_is_not_used(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--no-cache")) == 0
    expected = sha256_of(out)
    other = change_weights(source, tmp_path / "other.onnx", 2.0)
    cache = str(tmp_path / "shared.npz")
    assert main(arguments(other, images, out, "--cache", cache)) == 0
    capsys.readouterr()
    assert main(arguments(source, images, out, "--cache", cache)) == 0
    assert "shared.npz is of other weights: observing again" in capsys.readouterr().err
    assert sha256_of(out) == expected


def test_a_file_that_is_no_cache_is_left_alone(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.npz"
    np.savez(mine, precious=np.arange(3))
    argv = arguments(source, images, tmp_path / "int8.onnx", "--cache", str(mine))
    assert "is not a file of calibration ranges" in fails(capsys, argv)
    assert np.load(mine)["precious"].size == 3


def test_a_seed_draws_images(
    source: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = set()
    for seed in ("1", "2", "1"):
        more = ["--max-images", "3", "--seed", seed]
        assert main(arguments(source, images, tmp_path / seed / "int8.onnx", *more)) == 0
        notes.add(read_contract(tmp_path / seed / "int8.onnx").provenance[-1].note)
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--exclude", "["], "expected a regular expression"),
        (["--exclude", "."], "none of 11 convolutions"),
        (["--target", "onnxruntime", "--base", "fp16"], "which only GPUs run; expected fp32"),
        (["--percentile", "101"], "got '101'; expected a number above 0, up to 100"),
        (["--percentile", "nan"], "got 'nan'; expected a number"),
        (["--seed", "-1"], "--seed"),
        (["--provider", "tpu"], "invalid choice: 'tpu'"),
        (["--provider", "cuda"], "expected CUDAExecutionProvider"),
        (["--cache", "ranges.onnx"], "--cache got ranges.onnx; expected a name that ends in .npz"),
        (["--cache", "a.npz", "--no-cache"], "not allowed with argument"),
        (["--balance"], "expected COCO annotations"),
        (["--max-images", "0"], "--max-images: got '0'; expected a whole number from 1"),
    ],
)
def test_bad_options(
    source: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
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


@pytest.mark.parametrize("effort", ["fast", "good"])
def test_the_effort_is_noted_and_counts(
    source: Path, images: Path, tmp_path: Path, effort: str
) -> None:
    out = tmp_path / "int8.onnx"
    assert main(arguments(source, images, out, "--effort", effort)) == 0
    assert read_contract(out).provenance[-1].note.endswith(f"effort {effort}")
    names = {tensor.name for tensor in load_model(out).graph.initializer}
    assert ("block.0/Conv/bias" in names) == (effort == "good")
