"""The script that runs where ModelOpt is: what it asks of ModelOpt, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks import int8_peers_modelopt


def test_it_hands_on_its_options_and_prints_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}
    module = ModuleType("modelopt.onnx.quantization")
    module.quantize = asked.update  # type: ignore[attr-defined]
    for name in ("modelopt", "modelopt.onnx"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(int8_peers_modelopt.importlib.metadata, "version", lambda name: "1.0")
    frames = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.save(tmp_path / "frames.npy", frames)
    words = ["--onnx", "a.onnx", "--frames", str(tmp_path / "frames.npy"), "--input", "frames"]
    words += ["--method", "max", "--out", "b.onnx", "--exclude", "decode/.*"]
    assert int8_peers_modelopt.main(words) == 0
    assert (asked["onnx_path"], asked["output_path"]) == ("a.onnx", "b.onnx")
    assert asked["calibration_method"] == "max" and asked["nodes_to_exclude"] == ["decode/.*"]
    assert (asked["quantize_mode"], asked["high_precision_dtype"]) == ("int8", "fp32")
    np.testing.assert_array_equal(asked["calibration_data"]["frames"], frames)
    record = json.loads(capsys.readouterr().out)
    assert record["seconds"] >= 0 and record["versions"]["nvidia-modelopt"] == "1.0"


def test_it_needs_nothing_of_this_project() -> None:
    """In isolated mode neither the working directory nor the script's folder is searched."""
    script = int8_peers_modelopt.__file__
    command = [sys.executable, "-I", script, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert result.returncode == 0 and "--method" in result.stdout
