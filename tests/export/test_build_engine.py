"""The build command: writing artifacts, refusing bad input."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import export.build_engine as build_engine_module
from export import fastest_decode
from export.build_engine import BuildRequest, main
from export.choose_target import TARGETS
from export.tensorrt_options import DecodeForm
from plugins.library import LIBRARY_VARIABLE
from runtime.atomic_file import folder_lock, sha256_of
from runtime.contract import ModelContract, contract_path, read_contract, write_contract
from runtime.errors import BackendError
from runtime.manifest import EngineHost, check_engine, read_header
from tests.calibration.tiny_network import make_contract, write_tiny_network
from tests.export.rtx import MISSING, needs_rtx
from tests.plugins.built_library import built_library


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


@needs_rtx
def test_a_build_for_tensorrt_rtx(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiny.engine"
    argv = ["--onnx", str(source), "--target", "tensorrt-rtx", "--out", str(out)]
    assert main([*argv, "--target-sm", "89,120", "--plugins", "no", "--explain"]) == 0
    contract = read_contract(out)
    assert contract.target == "tensorrt-rtx"
    assert contract.provenance[-1].tool.startswith("tensorrt-rtx 1.")
    printed = capsys.readouterr().out
    assert "for compute capability 8.9, 12.0;" in printed and "CONVOLUTION" in printed


@needs_rtx
def test_the_manifest_lets_the_engine_pass_where_it_fits(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.engine"
    argv = ["--onnx", str(source), "--target", "tensorrt-rtx", "--out", str(out)]
    assert main([*argv, "--target-sm", "89", "--opt-level", "1", "--plugins", "no"]) == 0
    manifest = read_contract(out).engine
    assert manifest is not None
    assert manifest.onnx_sha256 == sha256_of(source) and manifest.ranges is None
    assert manifest.build_arguments[-4:] == ("--opt-level", "1", "--plugins", "no")
    host = EngineHost("tensorrt-rtx", manifest.version, "8.9")
    check_engine(manifest, read_header(out), host)


# What a Jetson lacks, on which engines are built.
BLOCKED = """
    import sys
    class Block:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {"torch", "onnxruntime", "onnxscript", "safetensors", "tqdm",
                                      "pycocotools", "pycuda", "detectors"}:
                raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
    sys.meta_path.insert(0, Block())
    sys.path.insert(0, sys.argv.pop(1))
    import export.builder_tensorrt
    from export.build_engine import main
    sys.exit(main(sys.argv[1:]))
"""


def build_blocked(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command where onnx, NumPy, OpenCV and TensorRT are all there is."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(BLOCKED), root, *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )


def test_the_command_needs_no_torch() -> None:
    done = build_blocked("--help")
    assert (done.returncode, done.stderr) == (0, "")


@needs_rtx
def test_an_engine_is_built_without_torch(nano_onnx: Path, tmp_path: Path) -> None:
    out = tmp_path / "nano.engine"
    done = build_blocked(
        "--onnx", nano_onnx, "--out", out, "--target", "tensorrt-rtx", "--target-sm", "89",
        "--plugins", "no", "--opt-level", "0",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert read_contract(out).engine is not None


def test_onnx_runtime_is_missing(source: Path, tmp_path: Path) -> None:
    done = build_blocked("--onnx", source, "--target", "onnxruntime", "--out", tmp_path / "o.onnx")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "target onnxruntime is not installed (no module onnxruntime)" in line


def build_together(source: Path, out: Path, target: str) -> list[int]:
    """Build the same artifact in two processes at once; returns their exit statuses."""
    command = [sys.executable, "-m", "export.build_engine", "--onnx", str(source)]
    command += ["--target", target, "--out", str(out)]
    root = Path(__file__).resolve().parents[2]
    processes = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    return [process.wait() for process in processes]


@needs_rtx
def test_two_processes_may_build_the_same_artifact(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "built" / "tiny.engine"
    assert build_together(source, out, "tensorrt-rtx") == [0, 0]
    assert read_contract(out).engine is not None  # compares the digest
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, out.name + ".json"]


def test_file_and_contract_are_replaced_as_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second build that ends between the two writes of the first has to wait."""
    out = tmp_path / "tiny.onnxruntime.onnx"
    request = BuildRequest(source, out, "onnxruntime")
    second: list[threading.Thread] = []

    def interrupted_write(contract: ModelContract, artifact: Path) -> Path:
        if not second:
            second.append(threading.Thread(target=replace_other))
            second[0].start()
            second[0].join(0.5)
            assert second[0].is_alive(), "the other build wrote between artifact and contract"
        return write_contract(contract, artifact)

    def replace_other() -> None:
        with folder_lock(tmp_path):
            out.write_bytes(b"other")
            write_contract(make_contract(target="onnxruntime"), out)

    monkeypatch.setattr(build_engine_module, "write_contract", interrupted_write)
    build_engine_module.build_engine(request)
    second[0].join()
    assert out.read_bytes() == b"other"
    read_contract(out)


def test_a_target_that_is_not_installed(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(product: str) -> None:
        raise BackendError("TensorRT-RTX is not installed; pip install --editable '.[rtx]'")

    monkeypatch.setattr("export.builder_tensorrt.load_product", missing)
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


def test_bf16_is_for_gpus(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_contract(make_contract("bf16"), source)
    message = fails(capsys, source, tmp_path / "built.onnx", "--target", "onnxruntime")
    assert "is bf16, which ONNX Runtime does not run" in message


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


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--batch", "1", "0", "2"], "argument --batch: got '0'"),
        (["--batch", "2", "1", "4"], "ranges from 2 over 1 to 4; expected"),
        (["--target-sm", "90"], "--target-sm got '90'"),
        (
            ["--target", "onnxruntime", "--version-compatible"],
            "means nothing to target onnxruntime",
        ),
        (["--opt-level", "6"], "argument --opt-level: invalid choice"),
        (["--workspace", "0"], "argument --workspace: got '0'"),
    ],
)
def test_options_that_make_no_sense(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    text: str,
) -> None:
    assert text in fails(capsys, source, tmp_path / "built.onnx", *words)


def test_help_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(target in printed for target in TARGETS)


@pytest.mark.slow
@needs_rtx
@pytest.mark.parametrize("faster", ["plugin", "graph"])
def test_the_faster_form_of_decoding_is_kept(
    faster: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forms: list[str] = []

    def pretend(engines: dict[DecodeForm, Path]) -> dict[DecodeForm, float]:
        forms.extend(form.value for form in engines)
        assert all(read_contract(engine).target == "tensorrt-rtx" for engine in engines.values())
        return {form: 1.0 if form.value == faster else 2.0 for form in engines}

    monkeypatch.setenv(LIBRARY_VARIABLE, str(built_library()))
    monkeypatch.setattr(fastest_decode, "time_engines", pretend)
    out = tmp_path / "built.engine"
    argv = ["--onnx", str(source), "--target", "tensorrt-rtx", "--out", str(out)]
    assert main([*argv, "--target-sm", "86", "--decode", "fastest"]) == 0
    contract = read_contract(out)
    assert contract.engine is not None
    assert f"--decode {faster}" in " ".join(contract.engine.build_arguments)
    assert f"decode by {faster} (plugin " in capsys.readouterr().out
    assert forms == ["plugin", "graph"]
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith("built")}
    assert left == {"built.engine", "built.engine.json"}


def test_decoding_is_no_choice_for_onnx_runtime(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "built.onnx"
    line = fails(capsys, source, out, "--target", "onnxruntime", "--decode", "graph")
    assert "--decode means nothing to target onnxruntime" in line
