"""Checks that every backend shares, and the pictures they prepare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.backend_base import Backend, Outputs
from runtime.backend_synthetic import SyntheticBackend
from runtime.contract import TensorSpec
from runtime.errors import BackendError, ContractError, UsageError
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image
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


@pytest.mark.parametrize(("batch", "largest"), [("N", None), (1, 1)])
def test_the_largest_batch_is_the_contracts(
    tmp_path: Path, batch: int | str, largest: int | None
) -> None:
    inputs = (TensorSpec("frames", "uint8", (batch, 64, 64, 3)),)
    backend = FixedBackend(GOOD)
    backend.open(write_tiny_artifact(tmp_path / "tiny.onnx", inputs=inputs))
    assert backend.largest_batch == largest


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


def test_corner_scores_are_needed_where_the_contract_lists_them(tmp_path: Path) -> None:
    outputs = {name: array for name, array in GOOD.items() if name != "corner_scores"}
    listed = tuple(spec for spec in TINY_CONTRACT.outputs if spec.name in outputs)
    FixedBackend(outputs).open(write_tiny_artifact(tmp_path / "without.onnx", outputs=listed))
    with pytest.raises(BackendError, match="no output 'corner_scores'"):
        FixedBackend(outputs).open(write_tiny_artifact(tmp_path / "with.onnx"))


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


def test_a_picture_is_prepared_by_letterboxing_it(artifact: Path) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    image = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    prepared = backend.prepare(image)
    letterbox = Letterbox.fit((40, 90), (64, 64))
    assert prepared.letterbox == letterbox
    np.testing.assert_array_equal(prepared.pixels, letterbox_image(image, letterbox)[None])
    assert not np.shares_memory(prepared.pixels, backend.prepare(image).pixels)
    assert backend.infer_prepared(prepared) is GOOD
    assert backend.events[-1] == "run (1, 64, 64, 3)" and backend.network_ms > 0


def test_a_picture_without_pixels_is_refused(artifact: Path) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    with pytest.raises(UsageError, match=r"letterbox got image \(0, 5\)"):
        backend.prepare(np.zeros((0, 5, 3), np.uint8))


def test_wrong_outputs_of_a_prepared_picture_are_refused(artifact: Path) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    backend.outputs = {**GOOD, "class_ids": np.full((1, 3), 2, np.int32)}
    with pytest.raises(BackendError, match="class id 2; expected 0 to 1"):
        backend.infer_prepared(backend.prepare(BLACK[0]))


def test_a_batch_of_prepared_pictures_is_run_once_and_split(artifact: Path) -> None:
    two = {name: np.concatenate([array, array]) for name, array in GOOD.items()}
    two["scores"][1] = 0.25
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    backend.outputs = two
    images = [np.zeros((48, 64, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)]
    outputs = backend.infer_batch([backend.prepare(image) for image in images])
    assert [each["scores"].tolist() for each in outputs] == [[[0.5] * 3], [[0.25] * 3]]
    assert [each["boxes"].shape for each in outputs] == [(1, 3, 4)] * 2
    assert backend.events[-1] == "run (2, 64, 64, 3)"


def test_a_batch_of_one_is_a_single_picture(artifact: Path) -> None:
    backend = FixedBackend(GOOD)
    backend.open(artifact)
    (outputs,) = backend.infer_batch([backend.prepare(np.zeros((48, 64, 3), np.uint8))])
    assert outputs["boxes"].shape == (1, 3, 4)
    assert backend.largest_prepared_batch == backend.largest_batch


def test_a_timed_frame_is_all_network_where_nothing_else_is_known() -> None:
    backend = SyntheticBackend(delay_s=0.002)
    backend.open()
    outputs, parts = backend.infer_timed(backend.prepare(np.zeros((48, 64, 3), np.uint8)))
    assert parts == {"network": backend.network_ms} and parts["network"] >= 2.0
    assert set(outputs) == {"boxes", "scores", "class_ids", "corner_scores"}
    assert backend.prepare_stage == "letterbox"
