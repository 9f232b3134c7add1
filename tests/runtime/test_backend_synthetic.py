"""Boxes out of thin air."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.backend_synthetic import SYNTHETIC_CONTRACT, SyntheticBackend
from runtime.contract import BOX_NAMES, CenterDecodeParams
from runtime.errors import ArtifactError
from tests.builders import TINY_CONTRACT, write_tiny_artifact


def boxes_of(backend: SyntheticBackend, frames: int) -> np.ndarray:
    batch = np.zeros((1, *backend.contract.size_hw, 3), np.uint8)
    return np.stack([backend.infer(batch)["boxes"][0] for _ in range(frames)])


def test_two_runs_are_the_same_and_two_frames_are_not() -> None:
    runs = []
    for _ in range(2):
        backend = SyntheticBackend()
        backend.open()
        runs.append(boxes_of(backend, 5))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])


def test_boxes_lie_in_the_picture_and_have_extent() -> None:
    backend = SyntheticBackend()
    backend.open()
    boxes = boxes_of(backend, 200)
    height, width = SYNTHETIC_CONTRACT.size_hw
    assert boxes.min() >= 0
    assert boxes[..., 2].max() <= width
    assert boxes[..., 3].max() <= height
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def test_an_artifact_lends_its_contract(tmp_path: Path) -> None:
    backend = SyntheticBackend()
    backend.open(write_tiny_artifact(tmp_path / "tiny.onnx"))
    outputs = backend.infer(np.zeros((2, 64, 64, 3), np.uint8))
    assert outputs["boxes"].shape == (2, 3, 4)
    assert set(outputs["class_ids"].ravel()) == {0, 1}
    backend.close()


def test_it_gives_corner_scores_only_where_the_contract_lists_them(tmp_path: Path) -> None:
    outputs = tuple(spec for spec in TINY_CONTRACT.outputs if spec.name in BOX_NAMES)
    decode = CenterDecodeParams(100, 3)
    changes = {"family": "centernet", "decode": decode, "outputs": outputs}
    backend = SyntheticBackend()
    backend.open(write_tiny_artifact(tmp_path / "tiny.onnx", **changes))
    assert set(backend.infer(np.zeros((1, 64, 64, 3), np.uint8))) == set(BOX_NAMES)


def test_a_missing_artifact_is_still_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        SyntheticBackend().open(tmp_path / "none.onnx")
