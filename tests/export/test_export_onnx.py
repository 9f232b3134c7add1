"""Tests of the export command: what it writes, and that bad input writes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto

from export import export_onnx as command
from export.detector_source import DetectorSource, LoadedDetector
from export.onnx_graph import load_model
from export.surgery import keep_outputs
from runtime.atomic_file import sha256_of
from runtime.contract import DETECTION_NAMES, MAP_NAMES, TensorSpec, contract_path, read_contract
from tests.export.conftest import CLASS_NAMES, SIZE_HW
from tests.export.tiny_models import run

NANO = "cornernet-nano"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_tracing(nano_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch's exporter return the nano of the session, which takes seconds otherwise."""

    def exported(module: object, size_hw: tuple[int, int]) -> ModelProto:
        assert size_hw == SIZE_HW
        model = load_model(nano_onnx)
        known = {value.name: value for value in model.graph.value_info}
        model.graph.output.extend(known[name] for name in MAP_NAMES)
        return model

    monkeypatch.setattr(command, "export_module", exported)


def run_main(out: Path, *options: str) -> int:
    return command.main(["--model", NANO, "--out", str(out), *options])


def size_options(size_hw: tuple[int, int] = SIZE_HW) -> list[str]:
    return ["--size", *map(str, size_hw)]


def test_contract_describes_the_file(nano_onnx: Path, nano_weights: Path) -> None:
    contract = read_contract(nano_onnx)
    assert (contract.name, contract.family, contract.target) == (NANO, "cornernet", "portable")
    assert (contract.size_hw, contract.stride_px) == (SIZE_HW, 4)
    assert contract.class_names == CLASS_NAMES
    assert contract.precision == "fp32"
    assert contract.inputs == (TensorSpec("frames", "uint8", ("N", *SIZE_HW, 3)),)
    count = contract.decode.num_dets
    assert contract.outputs == (
        TensorSpec("boxes", "float32", ("N", count, 4)),
        TensorSpec("scores", "float32", ("N", count)),
        TensorSpec("class_ids", "int32", ("N", count)),
        TensorSpec("corner_scores", "float32", ("N", count, 2)),
    )
    assert [step.step for step in contract.provenance] == ["weights", "export"]
    assert {step.sha256 for step in contract.provenance} == {sha256_of(nano_weights)}
    assert re.match(r"torch .*, onnx ", contract.provenance[1].tool)


@pytest.mark.parametrize("batch", [1, 3])
def test_batch_is_dynamic(nano_onnx: Path, batch: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (batch, *SIZE_HW, 3), np.uint8)
    boxes, scores, class_ids, _ = run(load_model(nano_onnx), frames=frames)
    assert boxes.shape[0] == batch
    assert (scores > 0.05).any()
    assert class_ids.max() < len(CLASS_NAMES)
    found = boxes[scores > 0]
    assert found[:, 2].max() > SIZE_HW[0]  # reaches into the wider half: not scaled by the height


def test_file_runs_where_opset_19_does_and_tells_nothing_of_this_machine(nano_onnx: Path) -> None:
    model = load_model(nano_onnx)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 19, "cornerrt": 1}
    assert model.ir_version == 9
    assert str(ROOT).encode() not in nano_onnx.read_bytes()
    onnx.checker.check_model(model, full_check=True)


def test_nodes_are_named_after_modules(nano_onnx: Path) -> None:
    names = {node.name for node in load_model(nano_onnx).graph.node}
    assert {
        "hourglass.up1.0.conv1/Conv",
        "tl_module.pool1/CornerPool",
        "heads.tl_heat.1/Conv",
    } <= names
    assert len(names) == len(load_model(nano_onnx).graph.node)


def test_no_normalisation_is_left(nano_onnx: Path) -> None:
    assert not [n for n in load_model(nano_onnx).graph.node if n.op_type == "BatchNormalization"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_raw_graph_ends_at_the_six_maps(
    nano_onnx: Path, nano_weights: Path, tmp_path: Path, no_tracing: None, precision: str
) -> None:
    out = tmp_path / "raw.onnx"
    options = ["--weights", str(nano_weights), "--raw", "--precision", precision]
    assert run_main(out, *options, *size_options()) == 0
    contract = read_contract(out)
    assert contract.precision == precision
    assert [spec.name for spec in contract.outputs] == list(MAP_NAMES)
    cells = (SIZE_HW[0] // 4, SIZE_HW[1] // 4)
    assert contract.outputs[0].shape == ("N", len(CLASS_NAMES), *cells)
    assert {spec.dtype for spec in contract.outputs} == {"float32"}
    frames = np.zeros((1, *SIZE_HW, 3), np.uint8)
    maps = run(keep_outputs(load_model(nano_onnx), MAP_NAMES), frames=frames)
    for was, now in zip(maps, run(load_model(out), frames=frames), strict=True):
        assert np.abs(was - now).max() <= (0.02 if precision == "fp16" else 0) * np.abs(was).max()


def test_half_file_is_half_as_large(
    nano_onnx: Path,
    nano_weights: Path,
    tmp_path: Path,
    no_tracing: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "half.onnx"
    options = ["--weights", str(nano_weights), "--precision", "fp16"]
    assert run_main(out, *options, *size_options()) == 0
    assert out.stat().st_size < 0.6 * nano_onnx.stat().st_size
    assert [spec.name for spec in read_contract(out).outputs] == list(DETECTION_NAMES)
    assert re.match(r"wrote .*half.onnx: \d+\.\d MB, opset 19", capsys.readouterr().out)


def test_network_is_empty_when_the_model_is_written(
    nano_weights: Path, tmp_path: Path, no_tracing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking and writing take the memory of two models beside the one that is there."""
    networks, held = [], []
    real_load, real_save = command.load_detector, command.save_model

    def load(source: DetectorSource) -> LoadedDetector:
        networks.append(real_load(source))
        return networks[-1]

    def save(model: ModelProto, path: Path) -> Path:
        held.append(sum(p.numel() for p in networks[-1].network.parameters()))
        return real_save(model, path)

    monkeypatch.setattr(command, "load_detector", load)
    monkeypatch.setattr(command, "save_model", save)
    out = tmp_path / "nano.onnx"
    assert run_main(out, "--weights", str(nano_weights), *size_options()) == 0
    assert held == [0]
    assert sum(np.prod(tensor.dims) for tensor in load_model(out).graph.initializer) > 1e5


class RunsCode:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def bad_inputs(folder: Path, weights: Path) -> dict[str, tuple[list[str], str]]:
    """Return options that must fail, with what the message must say."""
    short = folder / "short.safetensors"
    short.write_bytes(weights.read_bytes()[:5000])
    (folder / "file").write_text("")
    evil = folder / "evil.pkl"
    torch.save({"a": RunsCode(folder / "ran")}, evil)
    out = ["--out", str(folder / "out.onnx")]
    good = ["--model", NANO, "--weights", str(weights)]
    return {
        "unknown model": (["--model", "nano", *out], "unknown model 'nano'"),
        "size": ([*good, *out, "--size", "64", "100"], "got width 100; expected a multiple of 32"),
        "negative size": ([*good, *out, "--size", "-32", "64"], "got height -32"),
        "no weights": (["--model", "cornernet-squeeze", *out], "got no weights"),
        "missing weights": (["--model", NANO, "--weights", "none.safetensors", *out], "no file at"),
        "cut weights": (["--model", NANO, "--weights", str(short), *out], "cut short or damaged"),
        "other model": (
            ["--model", "cornernet-squeeze", "--weights", str(weights), *out],
            "weights of cornernet-nano",
        ),
        "code": (["--model", NANO, "--weights", str(evil), *out], "nothing of it ran"),
        "no classes": ([*good, *out, "--num-classes", "0"], "expected a whole number from 1"),
        "seed": (["--model", NANO, "--random-weights", "-1", *out], "expected a whole number"),
        "not onnx": ([*good, "--out", str(folder / "out.engine")], "ends in .onnx"),
        "unwritable": ([*good, "--out", str(folder / "file" / "out.onnx")], "cannot write in"),
        "folder": ([*good, "--out", str(folder / "taken.onnx")], "a folder"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "unknown model",
        "size",
        "negative size",
        "no weights",
        "missing weights",
        "cut weights",
        "other model",
        "code",
        "no classes",
        "seed",
        "not onnx",
        "unwritable",
        "folder",
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    case: str, tmp_path: Path, nano_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken.onnx").mkdir()
    options, message = bad_inputs(tmp_path, nano_weights)[case]
    before = sorted(tmp_path.rglob("*"))
    assert command.main(options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_failed_write_leaves_neither_model_nor_contract(
    tmp_path: Path,
    nano_weights: Path,
    no_tracing: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def disk_full(model: ModelProto, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "save", disk_full)
    out = tmp_path / "out.onnx"
    assert run_main(out, "--weights", str(nano_weights), *size_options()) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert not contract_path(out).exists()


@pytest.mark.slow
def test_command_runs_as_a_module_and_as_a_file() -> None:
    for call in (["-m", "export.export_onnx"], [str(ROOT / "export" / "export_onnx.py")]):
        done = subprocess.run(
            [sys.executable, *call, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert "--random-weights" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hourglass104_exports_within_4_gb(tmp_path: Path) -> None:
    out = tmp_path / "hourglass.onnx"
    # Not getrusage: its maximum includes what this process, the parent, held before the call.
    code = (
        "import pathlib, re, sys\n"
        "from export.export_onnx import main\n"
        "status = main(sys.argv[1:])\n"
        "memory = pathlib.Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', memory)[1])\n"
        "sys.exit(status)\n"
    )
    options = ["--model", "cornernet-hourglass104", "--random-weights", "0", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[-1]) * 1024 < 4e9
    assert len(load_model(out).functions) == 2
