"""ONNX Runtime with a tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.backend_onnxruntime import OnnxRuntimeBackend
from runtime.contract import TensorSpec, write_contract
from runtime.errors import ArtifactError, BackendError
from tests.builders import (
    TINY_BOXES_XYXY,
    TINY_CLASS_IDS,
    TINY_CONTRACT,
    TINY_SCORES,
    write_tiny_artifact,
)


@pytest.fixture
def backend(tmp_path: Path) -> OnnxRuntimeBackend:
    opened = OnnxRuntimeBackend(threads=1)
    opened.open(write_tiny_artifact(tmp_path / "tiny.onnx"))
    return opened


def test_a_white_frame_gives_the_models_boxes(backend: OnnxRuntimeBackend) -> None:
    outputs = backend.infer(np.full((1, 64, 64, 3), 255, np.uint8))
    np.testing.assert_array_equal(outputs["boxes"][0], TINY_BOXES_XYXY)
    np.testing.assert_allclose(outputs["scores"][0], TINY_SCORES, rtol=1e-6)
    np.testing.assert_array_equal(outputs["class_ids"][0], TINY_CLASS_IDS)


def test_a_batch_of_two_is_two_answers(backend: OnnxRuntimeBackend) -> None:
    batch = np.stack([np.full((64, 64, 3), v, np.uint8) for v in (0, 255)])
    scores = backend.infer(batch)["scores"]
    np.testing.assert_allclose(scores, [[0, 0, 0], TINY_SCORES], atol=1e-6)


def test_results_stay_valid_after_the_next_call(backend: OnnxRuntimeBackend) -> None:
    white = backend.infer(np.full((1, 64, 64, 3), 255, np.uint8))
    backend.infer(np.zeros((1, 64, 64, 3), np.uint8))
    np.testing.assert_allclose(white["scores"][0], TINY_SCORES, rtol=1e-6)


def test_closing_twice_is_fine_and_running_then_is_not(backend: OnnxRuntimeBackend) -> None:
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="call open"):
        backend.infer(np.zeros((1, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a\x12"])
def test_a_file_that_is_no_model_is_one_error(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact = tmp_path / "bad.onnx"
    artifact.write_bytes(content)
    write_contract(TINY_CONTRACT, artifact)
    with pytest.raises(ArtifactError, match=r"ONNX Runtime .* refused .*bad\.onnx"):
        OnnxRuntimeBackend(1).open(artifact)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inputs": (TensorSpec("images", "uint8", ("N", 64, 64, 3)),)},
            r"has inputs \['frames'\]; expected 'images'",
        ),
        (
            {"inputs": (TensorSpec("frames", "float32", ("N", 64, 64, 3)),)},
            r"input 'frames' is tensor\(uint8\)",
        ),
        (
            {"inputs": (TensorSpec("frames", "uint8", ("N", 32, 64, 3)),), "size_hw": (32, 64)},
            r"expected uint8 \('N', 32, 64, 3\)",
        ),
        (
            {"outputs": (*TINY_CONTRACT.outputs[:3], TensorSpec("corner_scores", "float32", (1,)))},
            "output 'corner_scores'",
        ),
        (
            {"outputs": (*TINY_CONTRACT.outputs, TensorSpec("masks", "float32", ("N",)))},
            "expected 'masks'",
        ),
    ],
)
def test_a_contract_of_another_model_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx", **changes)
    with pytest.raises(ArtifactError, match=message):
        OnnxRuntimeBackend(1).open(artifact)


def test_a_model_that_fails_while_running_is_one_error(backend: OnnxRuntimeBackend) -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of memory")

    backend._session = Broken()  # type: ignore[assignment]
    with pytest.raises(BackendError, match=r"failed on tiny \(out of memory\)"):
        backend.infer(np.zeros((1, 64, 64, 3), np.uint8))
