"""The choice of how layers are timed, and what a user may get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime import layer_profile
from runtime.errors import ArtifactError, BackendError, ContractError, UsageError
from runtime.layer_profile import profile_layers
from tests.builders import write_tiny_artifact
from tests.fakes.cuda_driver import FakeDriver
from tests.fakes.fake_tensorrt import FakeTensorRT, new_backend, write_tiny_engine


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "tiny.onnx")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_an_onnx_file_is_timed_by_onnx_runtime(artifact: Path, backend: str) -> None:
    profile = profile_layers(artifact, backend, threads=1, runs=3, frames=None)
    assert profile.runtime.startswith("onnxruntime")
    assert len(profile.whole_ms) == 3 and profile.layers


@pytest.mark.usefixtures("no_library")
def test_an_engine_is_timed_by_its_tensorrt(
    driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTensorRT(driver)
    engine = write_tiny_engine(tmp_path / "tiny.engine")
    monkeypatch.setattr(layer_profile, "load_backend", lambda *_: new_backend(fake))
    monkeypatch.setattr(layer_profile, "load_product", {"tensorrt": fake.module()}.__getitem__)
    profile = profile_layers(engine, "auto", threads=0, runs=2, frames=None)
    assert profile.runtime == "tensorrt 10.3.0.30"
    assert driver.is_empty


def test_frames_are_taken_in_turn(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import layer_profile_onnxruntime

    seen: list[list[int]] = []

    def profile(path: Path, threads: int, batches: list[np.ndarray]) -> None:
        assert (path, threads) == (artifact, 2)
        assert {batch.shape for batch in batches} == {(1, 64, 64, 3)}
        seen.append([int(batch[0, 0, 0, 0]) for batch in batches])

    monkeypatch.setattr(layer_profile_onnxruntime, "profile_onnxruntime", profile)
    frames = np.stack([np.full((64, 64, 3), value, np.uint8) for value in (7, 8)])
    profile_layers(artifact, "auto", threads=2, runs=5, frames=frames)
    assert seen == [[7, 8, 7, 8, 7]]


@pytest.mark.parametrize("runs", [0, -3])
def test_at_least_one_run(artifact: Path, runs: int) -> None:
    with pytest.raises(UsageError, match=f"runs is {runs}; expected at least 1"):
        profile_layers(artifact, "auto", 1, runs, None)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 64, 64, 3), np.uint8),
        np.zeros((2, 64, 60, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 64, 64, 3), np.float32),
    ],
)
def test_frames_of_another_form(artifact: Path, frames: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"frames are \w+ \(.*expected uint8 \(N, \*\(64, 64, 3\)"):
        profile_layers(artifact, "auto", 1, 1, frames)


def test_artifacts_that_cannot_be_run(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises((ArtifactError, ContractError)):
        profile_layers(tmp_path / "missing.onnx", "auto", 1, 1, None)
    with pytest.raises(BackendError, match="tensorrt runs tensorrt artifacts only"):
        profile_layers(artifact, "tensorrt", 1, 1, None)
    with pytest.raises(BackendError, match="backend synthetic has no layers to time"):
        profile_layers(artifact, "synthetic", 1, 1, None)
    with pytest.raises(UsageError, match="backend is 'cuda'"):
        profile_layers(artifact, "cuda", 1, 1, None)
