"""The choice of an artifact when the user names none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.artifacts import newest_runnable
from runtime.contract import contract_path
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
    choice = newest_runnable(tmp_path)
    assert choice.artifact == newest
    assert "onnxruntime runs here" in choice.reason
    assert "passed over" not in choice.reason


def test_one_that_cannot_run_here_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    write_at(tmp_path / "b.engine", 200, target="tensorrt-rtx")
    choice = newest_runnable(tmp_path)
    assert choice.artifact == older
    assert "passed over b.engine: no backend here runs a 'tensorrt-rtx'" in choice.reason


def test_a_broken_contract_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    older = write_at(tmp_path / "a.onnx", 100)
    contract_path(write_at(tmp_path / "b.onnx", 200)).write_text("{")
    choice = newest_runnable(tmp_path)
    assert choice.artifact == older
    assert "b.onnx" in choice.reason


def test_other_files_are_no_artifacts(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "weights.onnx").write_bytes(b"no contract beside it")
    with pytest.raises(ArtifactError, match=r"no artifact with a contract.*make engine"):
        newest_runnable(tmp_path)


def test_when_none_can_run_each_says_why(tmp_path: Path) -> None:
    for name in ("a.engine", "b.engine"):
        write_at(tmp_path / name, 100, target="tensorrt")
    with pytest.raises(ArtifactError, match=r"b\.engine: .*; a\.engine: .*make engine"):
        newest_runnable(tmp_path)


def test_a_missing_folder_is_the_same_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="make engine"):
        newest_runnable(tmp_path / "build")
