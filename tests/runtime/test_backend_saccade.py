"""A picture's two looks through a backend, and what happens at its edges."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from runtime import stream
from runtime.backend_onnxruntime import OnnxRuntimeBackend
from runtime.backend_saccade import SaccadeBackend
from runtime.backend_synthetic import SyntheticBackend
from runtime.contract import read_contract, write_contract
from runtime.errors import UsageError
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.saccade import PROCESSOR_BATCH, SaccadeDetector, SaccadeOptions, with_published_sigma
from tests.builders import (
    TINY_SIZE_HW,
    picture,
    write_images,
    write_tiny_artifact,
    write_tiny_saccade,
)


class CountingBackend(OnnxRuntimeBackend):
    """Remembers how many frames each call had; takes no more than it is told.

    Args:
        largest_batch: What it says it takes.
    """

    def __init__(self, largest_batch: int | None = None) -> None:
        super().__init__(threads=1)
        self.batches: list[int] = []
        self._largest_batch = largest_batch

    @property
    def largest_batch(self) -> int | None:
        return self._largest_batch

    def _run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(batch))
        return super()._run(batch)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny_saccade(tmp_path / "saccade.onnx", attention=0.6)


def opened(artifact: Path, network: CountingBackend, **options: int) -> SaccadeBackend:
    backend = SaccadeBackend(network, SaccadeOptions(**options))
    backend.open(artifact)
    network.batches.clear()
    return backend


def test_a_prepared_picture_gets_both_looks(artifact: Path) -> None:
    network = CountingBackend()
    backend = opened(artifact, network)
    image = picture(120, 160)
    frame = backend.prepare(image)
    image[:] = 0  # the caller may use it again
    outputs = backend.infer_prepared(frame)
    assert network.batches == [2, 4, 2]  # the first look, then six crops
    wanted = SaccadeDetector(network.infer, TINY_SIZE_HW).look(picture(120, 160))
    for name, array in wanted.items():
        np.testing.assert_array_equal(outputs[name], array)
    assert backend.network_ms > 0
    backend.close()


def test_detections_are_those_of_the_detector(artifact: Path) -> None:
    backend = opened(artifact, CountingBackend())
    image, options = picture(120, 160), PostprocessOptions(0.1)
    frame = backend.prepare(image)
    got = detections_from_raw(backend.infer_prepared(frame), frame.letterbox, options)
    wanted = backend.detector.detect(image, options)
    assert len(got) == len(wanted) > 0
    np.testing.assert_array_equal(got.boxes_xyxy, wanted.boxes_xyxy)
    backend.close()


@pytest.mark.parametrize(("largest", "batch"), [(1, 32), (2, 32), (32, 3), (None, 2), (None, 32)])
def test_no_call_has_more_frames_than_the_network_takes(
    artifact: Path, largest: int | None, batch: int
) -> None:
    network = CountingBackend(largest)
    backend = opened(artifact, network, batch=batch)
    backend.infer_prepared(backend.prepare(picture(120, 160)))
    assert max(network.batches) == min(batch, largest or PROCESSOR_BATCH)
    assert sum(network.batches) > 2
    assert backend.largest_batch == largest
    backend.close()


def test_infer_is_the_networks_alone(artifact: Path) -> None:
    network = CountingBackend()
    backend = opened(artifact, network)
    frames = np.full((3, *TINY_SIZE_HW, 3), 200, np.uint8)
    outputs = backend.infer(frames)
    assert network.batches == [3]
    assert outputs["att2"].shape == (3, 1, 16, 16)
    backend.close()


def test_a_model_without_attention_is_refused_and_closed(tmp_path: Path) -> None:
    backend = SaccadeBackend(OnnxRuntimeBackend(1))
    with pytest.raises(UsageError, match=r"gives boxes, .*; expected attention maps as well"):
        backend.open(write_tiny_artifact(tmp_path / "tiny.onnx"))


def test_a_picture_without_pixels_is_refused(artifact: Path) -> None:
    backend = opened(artifact, CountingBackend())
    with pytest.raises(UsageError, match="at least 1 pixel"):
        backend.prepare(np.zeros((0, 4, 3), np.uint8))
    backend.close()


def test_synthetic_boxes_have_attention_where_the_contract_does(artifact: Path) -> None:
    backend = SyntheticBackend()
    backend.open(artifact)
    outputs = backend.infer(np.zeros((2, *TINY_SIZE_HW, 3), np.uint8))
    assert outputs["att0"].shape == (2, 1, 4, 4)
    assert not outputs["att0"].any()


def test_a_fixed_batch_is_run_crop_by_crop(artifact: Path) -> None:
    contract = read_contract(artifact)
    frames = dataclasses.replace(contract.inputs[0], shape=(1, *TINY_SIZE_HW, 3))
    write_contract(dataclasses.replace(contract, inputs=(frames,)), artifact)
    network = OnnxRuntimeBackend(1)
    backend = SaccadeBackend(network)
    backend.open(artifact)
    assert network.largest_batch == 1
    outputs = backend.infer_prepared(backend.prepare(picture(120, 160)))
    assert outputs["scores"].shape[1] > 2
    backend.close()


def test_a_stream_looks_twice(artifact: Path, tmp_path: Path) -> None:
    images, record = write_images(tmp_path / "in", 2), tmp_path / "out.jsonl"
    arguments = ["--images", images, "--artifact", artifact, "--jsonl", record, "--score", "0.1"]
    assert stream.main([str(argument) for argument in arguments]) == 0
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    detector = SaccadeDetector(_open_network(artifact).infer, TINY_SIZE_HW)
    wanted = detector.detect(picture(), with_published_sigma(PostprocessOptions(0.1)))
    assert len(lines) == 2
    for line in lines:
        assert len(line["detections"]) == len(wanted) > 3


def _open_network(artifact: Path) -> OnnxRuntimeBackend:
    network = OnnxRuntimeBackend(1)
    network.open(artifact)
    return network
