"""Which artifact is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.errors import ArtifactError, CornerRTError
from runtime.open_model import open_model
from runtime.option_types import group_from
from runtime.options import build_parser
from runtime.options_model import ModelOptions
from tests.builders import write_tiny_artifact


def options(*words: object) -> ModelOptions:
    return group_from(ModelOptions, build_parser().parse_args([str(word) for word in words]))


def test_the_one_that_is_asked_for(tmp_path: Path) -> None:
    artifact, said = write_tiny_artifact(tmp_path / "tiny.onnx"), []
    open_model(options("--artifact", artifact), said.append).close()
    assert said == [f"{artifact} on onnxruntime (asked for)"]


def test_else_the_newest_in_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.utime(write_tiny_artifact(tmp_path / "build" / "old.onnx"), (100, 100))
    write_tiny_artifact(tmp_path / "build" / "new.onnx")
    said: list[str] = []
    open_model(options(), said.append).close()
    assert said[0].startswith("build/new.onnx on onnxruntime (newest in build/")


def test_none_at_all_for_a_trial() -> None:
    said: list[str] = []
    backend = open_model(options("--backend", "synthetic"), said.append)
    assert said == ["synthetic boxes, no network"]
    assert backend.contract.name == "synthetic"


def test_synthetic_boxes_of_a_models_classes(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    words = ("--backend", "synthetic", "--artifact", artifact)
    backend = open_model(options(*words), print)
    assert "square" in backend.contract.class_names


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CornerRTError, match="make engine"):
        open_model(options(), print)
    with pytest.raises(ArtifactError, match="no file at"):
        open_model(options("--artifact", tmp_path / "x.onnx"), print)
