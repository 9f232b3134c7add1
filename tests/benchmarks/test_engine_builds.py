"""Measuring builds: each in a process of its own, errors passed on in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import engine_builds
from benchmarks.engine_builds import BuildFigures, build_apart, main, measure_model, peak_mib
from export.build_engine import BuildRequest
from export.tensorrt_options import PluginUse, TensorRTOptions
from runtime.contract import read_contract
from runtime.errors import CornerRTError, UsageError
from tests.calibration.tiny_network import write_tiny_network
from tests.export.rtx import needs_rtx

FIGURES = BuildFigures(1500.0, 1.2, 5.5, 300.0, 400.0, "58 FP16")


@pytest.mark.slow
@needs_rtx
def test_a_build_in_a_process_of_its_own(tmp_path: Path) -> None:
    source = write_tiny_network(tmp_path / "tiny.onnx")
    options = TensorRTOptions(("8.6",), plugins=PluginUse.NO)
    request = BuildRequest(source, tmp_path / "x.engine", "tensorrt-rtx", options)
    figures = build_apart(request)
    assert figures.megabytes == request.out.stat().st_size / 1e6
    assert figures.milliseconds > 0 and figures.cpu_seconds > 0
    assert figures.imports_mib is not None and figures.peak_mib is not None
    assert 0 < figures.imports_mib <= figures.peak_mib
    assert "FP32" in figures.summary
    assert read_contract(request.out).engine is not None


def test_the_builds_error_arrives(tmp_path: Path) -> None:
    request = BuildRequest(tmp_path / "gone.onnx", tmp_path / "x.engine", "tensorrt-rtx")
    with pytest.raises(CornerRTError, match=r"no file at .*gone\.onnx"):
        build_apart(request)


@pytest.mark.parametrize(
    ("text", "mib"), [("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n", 2.0), ("Name: x\n", None)]
)
def test_peak_memory(tmp_path: Path, text: str, mib: float | None) -> None:
    status = tmp_path / "status"
    status.write_text(text)
    assert peak_mib(status) == mib
    assert peak_mib(tmp_path / "gone") is None


@pytest.mark.parametrize(("library", "uses"), [(None, ["without"]), ("x.so", ["without", "with"])])
def test_plugins_are_measured_where_they_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str | None, uses: list[str]
) -> None:
    requests: list[BuildRequest] = []

    def build(request: BuildRequest) -> BuildFigures:
        requests.append(request)
        return FIGURES

    sources = {name: tmp_path / f"{name}.onnx" for name in ("fp16", "int8")}
    monkeypatch.setattr(engine_builds, "portable_models", lambda model, folder: sources)
    monkeypatch.setattr(engine_builds, "find_library", lambda: library)
    monkeypatch.setattr(engine_builds, "build_apart", build)
    figures = measure_model("cornernet-nano", tmp_path, 2)
    labels = [f"cornernet-nano {p} {use} plugins" for p in ("fp16", "int8") for use in uses]
    assert list(figures) == labels
    assert all(two == [FIGURES, FIGURES] for two in figures.values())
    assert [r.source for r in requests[:2]] == [sources["fp16"]] * 2
    assert {r.options.plugins.value for r in requests} == ({"no", "yes"} if library else {"no"})


def test_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(model: str, folder: Path, repeats: int) -> dict[str, Any]:
        return {f"{model} fp16 without plugins": [FIGURES] * repeats}

    monkeypatch.setattr(engine_builds, "measure_model", measure)
    monkeypatch.setattr(engine_builds, "load_tensorrt_rtx", lambda: type("T", (), {"version": "1"}))
    out = tmp_path / "r.json"
    assert main(["--models", "cornernet-nano", "--repeats", "2", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    label = "cornernet-nano fp16 without plugins"
    assert body["samples_ms"][label]["values"] == [1500.0, 1500.0]
    assert body["facts"][label]["peak_mib"] == 400.0
    assert body["settings"]["sizes_hw"] == [[320, 320]]


@pytest.mark.slow
def test_a_step_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_builds, "load_tensorrt_rtx", lambda: type("T", (), {"version": "1"}))
    assert main(["--models", "resnet", "--out", str(tmp_path / "r.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UsageError, match=r"export\.export_onnx failed: error: "):
        engine_builds._run_module("export.export_onnx", "--nothing")
