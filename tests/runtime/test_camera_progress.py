"""What came out of a camera."""

from __future__ import annotations

import time

import numpy as np

from runtime.camera_progress import CameraProgress
from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.source_reader import ReaderOptions, SourceReader
from runtime.source_state import SourceState
from runtime.sources import SourceSpec
from runtime.tracks import Tracks
from tests.builders import picture
from tests.fakes.sources import FakeSource


def progress() -> CameraProgress:
    spec = SourceSpec("gate", True, lambda: FakeSource([]))
    return CameraProgress(SourceReader(spec, ReaderOptions(), lambda *_: True, print))


def result(boxes: int, tracks: Tracks | None = None) -> FrameResult:
    found = Detections(
        np.zeros((boxes, 4), np.float32), np.ones(boxes, np.float32), np.zeros(boxes, np.int32)
    )
    frame = Frame(picture(), "gate", 0, 0)
    return FrameResult("gate", frame, found, ("a",), {"age": 12.5}, (48, 64), tracks)


def test_before_the_first_result() -> None:
    status = progress().status("gate", 0)
    assert (status.name, status.state) == ("gate", SourceState.CONNECTING)
    assert (status.results, status.detections, status.frames_per_second) == (0, 0, 0.0)
    assert status.age_ms is status.last_result_ns is None
    assert status.line_counts == status.zone_counts == {}


def test_results_are_counted() -> None:
    own, before = progress(), time.monotonic_ns()
    for boxes in (3, 0, 2):
        own.record(result(boxes))
    status = own.status("gate", 7)
    assert (status.results, status.detections, status.dropped) == (3, 5, 7)
    assert status.age_ms == 12.5
    assert before <= status.last_result_ns <= time.monotonic_ns()


def test_counts_of_lines_and_zones_are_the_newest() -> None:
    own = progress()
    for count in (1, 2):
        ids = np.zeros(0, np.int64)
        lines = {"door": {"in": count, "out": 0}}
        own.record(result(0, Tracks(ids, line_counts=lines, zone_counts={"yard": 5 - count})))
    status = own.status("gate", 0)
    assert status.line_counts == {"door": {"in": 2, "out": 0}}
    assert status.zone_counts == {"yard": 3}


def test_no_picture_is_kept() -> None:
    own = progress()
    own.record(result(1))
    assert own._newest.frame.image.size == 0
