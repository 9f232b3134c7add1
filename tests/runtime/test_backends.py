"""Checks that every backend shares, and the choice between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime import backends
from runtime.backends import (
    Backend,
    BackendSpec,
    Outputs,
    available_cores,
    load_backend,
    open_backend,
)
from runtime.contract import TensorSpec
from runtime.errors import ArtifactError, BackendError, ContractError, UsageError
from tests.builders import TINY_CONTRACT, write_tiny_artifact

GOOD: Outputs = {
    "boxes": np.zeros((1, 3, 4), np.float32),
    "scores": np.full((1, 3), 0.5, np.float32),
    "class_ids": np.zeros((1, 3), np.int32),
    "corner_scores": np.zeros((1, 3, 2), np.float32),
}
BLACK = np.zeros((1, 64, 64, 3), np.uint8)


class FixedBackend(Backend):
    """Answers with given arrays."""

    name = "fixed"

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.events: list[str] = []

    def _open(self, artifact: Path) -> None:
        self.events.append("open")

    def _run(self, batch: np.ndarray) -> Outputs:
        self.events.append(f"run {batch.shape}")
        return self.outputs

    def _close(self) -> None:
        self.events.append("close")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "tiny.onnx")


def test_opening_warms_up_and_times(artifact: Path) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    assert backend.events == ["open", "run (1, 64, 64, 3)"]
    assert backend.contract.name == "tiny"
    assert backend.network_ms > 0
    assert backend.infer(BLACK) is GOOD


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (BLACK.astype(np.float32), r"input 'frames' is float32 .*expected uint8"),
        (BLACK[0], r"\(64, 64, 3\)"),
        (BLACK[:, :32], r"\(1, 32, 64, 3\)"),
        (BLACK.transpose(0, 3, 1, 2), r"\(1, 3, 64, 64\)"),
    ],
)
def test_a_wrong_batch_is_refused(artifact: Path, batch: np.ndarray, message: str) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    with pytest.raises(BackendError, match=message):
        backend.infer(batch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((1, 4), np.float32)}, "output 'scores'"),
        ({"boxes": np.zeros((1, 3, 4))}, "output 'boxes' is float64"),
        ({"class_ids": np.zeros((1, 3), np.int64)}, "output 'class_ids' is int64"),
        ({"class_ids": np.full((1, 3), 2, np.int32)}, "class id 2; expected 0 to 1"),
        ({"class_ids": np.full((1, 3), -1, np.int32)}, "class id -1"),
    ],
)
def test_wrong_outputs_are_refused_at_opening_and_released(
    artifact: Path, change: Outputs, message: str
) -> None:
    backend = FixedBackend({**GOOD, **change})
    with pytest.raises(BackendError, match=message):
        backend.open(artifact)
    assert backend.events[-1] == "close"


def test_the_class_of_an_empty_slot_may_be_anything(artifact: Path) -> None:
    empty = {"scores": np.full((1, 3), -1, np.float32), "class_ids": np.full((1, 3), -7, np.int32)}
    FixedBackend({**GOOD, **empty}).open(artifact)


def test_a_missing_output_is_refused(artifact: Path) -> None:
    outputs = {name: array for name, array in GOOD.items() if name != "scores"}
    with pytest.raises(BackendError, match="no output 'scores'"):
        FixedBackend(outputs).open(artifact)


def test_the_raw_variant_of_a_graph_is_refused(tmp_path: Path) -> None:
    maps = (TensorSpec("tl_heat", "float32", ("N", 2, 16, 16)),)
    artifact = write_tiny_artifact(tmp_path / "raw.onnx", outputs=maps)
    backend = FixedBackend(GOOD)
    with pytest.raises(BackendError, match="decoder in the graph"):
        backend.open(artifact)
    assert backend.events == []


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "two.onnx", inputs=TINY_CONTRACT.inputs * 2)
    with pytest.raises(BackendError, match="has 2 inputs; expected 1"):
        FixedBackend(GOOD).open(artifact)


def test_a_cut_artifact_never_reaches_a_backend(artifact: Path) -> None:
    artifact.write_bytes(artifact.read_bytes()[:-10])
    backend = FixedBackend(GOOD)
    with pytest.raises(ContractError, match="cut short"):
        backend.open(artifact)
    assert backend.events == []


def test_auto_takes_onnxruntime_for_a_portable_file(artifact: Path) -> None:
    backend = open_backend(artifact)
    assert backend.name == "onnxruntime"
    backend.close()


def test_an_engine_without_a_backend_says_why(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "x.engine", target="tensorrt-rtx")
    with pytest.raises(
        BackendError, match="'tensorrt-rtx' artifact: onnxruntime runs onnxruntime and portable"
    ):
        open_backend(artifact)


def test_a_library_that_is_not_installed_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(threads: int) -> Backend:
        raise ModuleNotFoundError("No module named 'acme'")

    spec = BackendSpec(missing, ("portable",), "pip install acme")
    monkeypatch.setattr(backends, "BACKENDS", {"acme": spec})
    with pytest.raises(BackendError, match=r"acme is not installed .*: pip install acme"):
        open_backend(artifact)


def test_an_unknown_backend_is_refused_with_the_known_ones(artifact: Path) -> None:
    with pytest.raises(UsageError, match=r"'cuda'; expected one of auto, onnxruntime, synthetic"):
        open_backend(artifact, "cuda")


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no file at .*none\.onnx"):
        open_backend(tmp_path / "none.onnx")


def test_auto_never_invents_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"synthetic": backends.BACKENDS["synthetic"]}
    monkeypatch.setattr(backends, "BACKENDS", known)
    with pytest.raises(BackendError):
        load_backend("auto", "portable", 1)


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
