"""The choice between backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import backends
from runtime.backend_base import Backend
from runtime.backend_saccade import SaccadeBackend
from runtime.backends import BackendSpec, available_cores, load_backend, open_backend
from runtime.errors import ArtifactError, BackendError, UsageError
from runtime.trt_module import Gpu
from tests.builders import write_tiny_artifact, write_tiny_saccade


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "tiny.onnx")


def test_auto_takes_onnxruntime_for_a_portable_file(artifact: Path) -> None:
    backend = open_backend(artifact)
    assert backend.name == "onnxruntime"
    backend.close()


def test_a_model_with_attention_looks_twice(tmp_path: Path, artifact: Path) -> None:
    backend = open_backend(write_tiny_saccade(tmp_path / "saccade.onnx"))
    assert isinstance(backend, SaccadeBackend)
    assert backend.name == "onnxruntime"
    backend.close()
    assert not isinstance(open_backend(artifact), SaccadeBackend)


def test_an_engine_without_a_gpu_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_gpu", lambda: None)
    artifact = write_tiny_artifact(tmp_path / "x.engine", target="tensorrt-rtx")
    with pytest.raises(
        BackendError, match=r"'tensorrt-rtx' artifact: tensorrt-rtx: found no NVIDIA GPU"
    ) as raised:
        open_backend(artifact)
    assert "onnxruntime" not in str(raised.value)  # it could not run this, installed or not
    with pytest.raises(BackendError, match="onnxruntime runs onnxruntime and portable artifacts"):
        open_backend(artifact, "onnxruntime")


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
    with pytest.raises(UsageError, match=r"'cuda'; expected one of auto, tensorrt, .*onnxr"):
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


def test_a_tensorrt_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(product: str) -> None:
        raise BackendError(f"{product} is not installed; install it")

    monkeypatch.setattr(backends, "find_gpu", lambda: Gpu("Orin", "8.7"))
    monkeypatch.setattr(backends, "load_product", missing)
    artifact = write_tiny_artifact(tmp_path / "x.engine", target="tensorrt")
    with pytest.raises(BackendError, match="'tensorrt' artifact: tensorrt: tensorrt is not inst"):
        open_backend(artifact)
