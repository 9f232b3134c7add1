"""The choice of an artifact when the user names none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from runtime.artifacts import open_newest
from runtime.contract import TensorSpec, contract_path
from runtime.errors import ArtifactError
from tests.builders import write_tiny_artifact


def write_at(path: Path, seconds: int, **changes: object) -> Path:
    write_tiny_artifact(path, **changes)
    os.utime(path, (seconds, seconds))
    return path


def test_the_newest_wins_whatever_its_name(tmp_path: Path) -> None:
    write_at(tmp_path / "z.onnx", 100)
    newest = write_at(tmp_path / "a.onnx", 200)
    write_at(tmp_path / "m.onnx", 150)
    choice = open_newest(tmp_path)
    assert choice.artifact == newest
    assert "onnxruntime runs here" in choice.reason
    assert "passed over" not in choice.reason


def test_one_that_cannot_run_here_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    write_at(tmp_path / "b.engine", 200, target="tensorrt-rtx")
    choice = open_newest(tmp_path)
    assert choice.artifact == older
    assert "passed over b.engine: no backend here runs a 'tensorrt-rtx'" in choice.reason


def test_a_broken_contract_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    contract_path(write_at(tmp_path / "b.onnx", 200)).write_text("{")
    choice = open_newest(tmp_path)
    assert choice.artifact == older
    assert "b.onnx" in choice.reason


def test_what_the_build_step_made_comes_before_newer_raw_material(tmp_path: Path) -> None:
    built = write_at(tmp_path / "a.onnxruntime.onnx", 100, target="onnxruntime")
    write_at(tmp_path / "a-gpu.onnx", 200)
    choice = open_newest(tmp_path)
    assert choice.artifact == built
    assert "passed over" not in choice.reason


def test_one_that_is_cut_short_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    broken = write_at(tmp_path / "b.onnx", 200)
    os.truncate(broken, 20)
    os.utime(broken, (200, 200))
    choice = open_newest(tmp_path)
    assert choice.artifact == older
    assert "passed over b.onnx:" in choice.reason and "cut short" in choice.reason


def test_a_raw_graph_is_passed_over(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    write_at(tmp_path / "raw.onnx", 200, outputs=(TensorSpec("tl_heat", "float32", ("N", 1)),))
    choice = open_newest(tmp_path)
    assert choice.artifact == older
    assert "export it without --raw" in choice.reason


def test_the_backend_is_open(tmp_path: Path) -> None:
    write_at(tmp_path / "a.onnx", 100)
    backend = open_newest(tmp_path, threads=1).backend
    frames = np.zeros((1, *backend.contract.size_hw, 3), np.uint8)
    assert backend.infer(frames)["boxes"].shape == (1, 3, 4)
    backend.close()


def test_other_files_are_no_artifacts(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "weights.onnx").write_bytes(b"no contract beside it")
    with pytest.raises(ArtifactError, match=r"no artifact with a contract.*make engine"):
        open_newest(tmp_path)


def test_when_none_can_run_each_says_why(tmp_path: Path) -> None:
    for name in ("a.engine", "b.engine"):
        write_at(tmp_path / name, 100, target="tensorrt")
    with pytest.raises(ArtifactError, match=r"b\.engine: .*; a\.engine: .*make engine"):
        open_newest(tmp_path)


def test_a_missing_folder_is_the_same_error_and_named_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=f"nothing in {tmp_path}/build/ can.*make engine"):
        open_newest(Path("build"))
