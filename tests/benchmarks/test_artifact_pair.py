"""Only the two precisions of one network may be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.artifact_pair import read_pair
from runtime.errors import ArtifactError, ContractError, UsageError
from tests.benchmarks.artifacts import write_pair
from tests.builders import write_tiny_artifact


def test_a_pair_is_read_by_precision(tmp_path: Path):
    contracts = read_pair(write_pair(tmp_path))
    assert [(p, c.precision) for p, c in contracts.items()] == [("fp32", "fp32"), ("int8", "int8")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp32"}, "--int8 got a fp32 artifact for onnxruntime; expected int8"),
        ({"target": "portable"}, "--int8 got a int8 artifact for portable"),
        ({"name": "other"}, "--fp32 is tiny at 64x64, --int8 is other at 64x64"),
    ],
)
def test_another_artifact_is_refused(changes: dict[str, str], message: str, tmp_path: Path):
    artifacts = write_pair(tmp_path)
    fields = {"precision": "int8", "target": "onnxruntime"} | changes
    write_tiny_artifact(artifacts["int8"], **fields)
    with pytest.raises(UsageError, match=message):
        read_pair(artifacts)


def test_a_missing_artifact_is_refused(tmp_path: Path):
    artifacts = write_pair(tmp_path)
    artifacts["int8"].unlink()
    with pytest.raises(ArtifactError, match="no file at"):
        read_pair(artifacts)


def test_a_changed_artifact_is_refused(tmp_path: Path):
    artifacts = write_pair(tmp_path)
    artifacts["fp32"].write_bytes(artifacts["fp32"].read_bytes()[:-9])
    with pytest.raises(ContractError, match="SHA-256"):
        read_pair(artifacts)
