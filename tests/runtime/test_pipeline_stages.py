"""The middle of a pipeline, piece by piece."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.backend_synthetic import SyntheticBackend
from runtime.camera_queues import CameraQueues
from runtime.errors import UsageError
from runtime.flow import CameraInput
from runtime.frame_buffer import DropPolicy, FrameBuffer
from runtime.frames import Frame
from runtime.pipeline_stages import (
    Captured,
    InferenceStage,
    Inferred,
    ResultStage,
    milliseconds_since,
    prepare_frame,
)
from runtime.postprocess import PostprocessOptions
from runtime.sources import SourceSpec
from tests.builders import picture
from tests.fakes.sources import FakeSource

CAMERA = CameraInput(SourceSpec("gate", False, lambda: FakeSource([])))


@pytest.fixture
def backend() -> SyntheticBackend:
    backend = SyntheticBackend()
    backend.open()
    return backend


def frame(sequence: int = 0, image: np.ndarray | None = None) -> Frame:
    image = picture() if image is None else image
    return Frame(image, "gate", sequence, time.monotonic_ns())


def test_a_frame_is_brought_to_the_networks_size(backend: SyntheticBackend) -> None:
    captured = prepare_frame(backend, frame(), 3.5)
    assert captured.prepared.pixels.shape == (1, 256, 256, 3)
    assert captured.times_ms["capture"] == 3.5
    assert captured.times_ms["letterbox"] > 0


def stage(
    backend: SyntheticBackend, frames: int, batch: int = 1, stopped: bool = False
) -> tuple[InferenceStage, FrameBuffer[Inferred]]:
    waiting: CameraQueues[Captured] = CameraQueues([DropPolicy.BLOCK])
    done: FrameBuffer[Inferred] = FrameBuffer(100, DropPolicy.BLOCK)
    for sequence in range(frames):
        waiting.put(0, prepare_frame(backend, frame(sequence), 0.0))
    waiting.close(0)
    return InferenceStage(backend, waiting, done, batch, 0.0, lambda: stopped), done


def drained(done: FrameBuffer[Inferred]) -> list[Inferred]:
    items = []
    while (item := done.get()) is not None:
        items.append(item)
    return items


@pytest.mark.parametrize("batch", [1, 3])
def test_every_picture_is_inferred_once(backend: SyntheticBackend, batch: int) -> None:
    inference, done = stage(backend, 4, batch)
    inference.run(None)
    items = drained(done)
    assert [item.frame.sequence for item in items] == [0, 1, 2, 3]
    assert all(item.outputs["boxes"].shape[0] == 1 for item in items)
    assert all(item.times_ms["network"] > 0 for item in items)
    assert inference.waiting.put(0, None) is False, "it says that it takes no more"


def test_it_ends_after_so_many(backend: SyntheticBackend) -> None:
    inference, done = stage(backend, 4, batch=3)
    inference.run(2)
    assert len(drained(done)) == 2


def test_it_begins_nothing_after_a_stop(backend: SyntheticBackend) -> None:
    inference, done = stage(backend, 4, stopped=True)
    inference.run(None)
    assert drained(done) == []


def test_it_ends_when_nobody_wants_outputs(backend: SyntheticBackend) -> None:
    inference, done = stage(backend, 4)
    done.cancel()
    inference.run(None)


def inferred(backend: SyntheticBackend, image: np.ndarray) -> Inferred:
    captured = prepare_frame(backend, frame(image=image), 0.0)
    outputs = backend.infer_prepared(captured.prepared)
    letterbox = captured.prepared.letterbox
    return Inferred(0, captured.frame, letterbox, outputs, captured.times_ms)


def test_a_result_says_all_about_its_picture(backend: SyntheticBackend) -> None:
    results = ResultStage([CAMERA], backend.contract.class_names, PostprocessOptions())
    result = results.result_from(inferred(backend, picture(512, 512)))
    assert (result.camera, result.image_hw) == ("gate", (512, 512))
    assert result.class_names == backend.contract.class_names
    assert result.tracks is None
    assert list(result.times_ms) == ["capture", "letterbox", "postprocess", "age"]
    assert len(result.detections) == 4


def test_the_threshold_moves(backend: SyntheticBackend) -> None:
    results = ResultStage([CAMERA], backend.contract.class_names, PostprocessOptions())
    results.score = 0.85
    assert results.score == 0.85
    assert len(results.result_from(inferred(backend, picture())).detections) == 1
    with pytest.raises(UsageError, match="expected 0 to 1"):
        results.score = -0.1
    assert results.score == 0.85


def test_milliseconds() -> None:
    assert 0 <= milliseconds_since(time.perf_counter_ns()) < 10_000
