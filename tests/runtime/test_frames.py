"""Frames and results are records that cannot be reassigned by accident."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.tracks import Tracks


def test_a_frame_is_frozen_and_shares_its_picture() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    frame = Frame(image, "camera 0", 4, 123)
    assert frame.image is image
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.sequence = 5  # type: ignore[misc]


def result_on(image: np.ndarray, **more: object) -> FrameResult:
    box = np.array([[10, 10, 40, 30]], np.float32)
    found = Detections(box, np.array([0.9], np.float32), np.array([0], np.int32))
    frame = Frame(image, "gate", 0, 0)
    return FrameResult("gate", frame, found, ("disc",), {}, image.shape[:2], **more)


def test_boxes_are_drawn_on_a_copy_and_once() -> None:
    result = result_on(np.zeros((48, 64, 3), np.uint8))
    assert result.annotated.any()
    assert not result.frame.image.any()
    assert result.annotated is result.annotated


def test_ids_and_places_are_drawn_too() -> None:
    calls = []

    def draw(image: np.ndarray, tracks: Tracks | None) -> None:
        calls.append((image.any(), tracks))

    tracks = Tracks(np.array([7]))
    image = np.zeros((240, 320, 3), np.uint8)
    with_id = result_on(image, tracks=tracks, draw_places=draw)
    assert (with_id.annotated != result_on(image).annotated).any()
    assert calls == [(False, tracks)], "below the boxes"


def test_without_its_picture_the_rest_is_the_same() -> None:
    result = result_on(np.ones((48, 64, 3), np.uint8))
    small = result.without_picture()
    assert small.frame.image.size == 0
    assert small.image_hw == (48, 64)
    assert (small.camera, small.frame.sequence) == ("gate", 0)
    assert small.detections is result.detections
    assert result.frame.image.size > 0


def test_many_threads_that_draw_at_once_all_get_a_whole_picture() -> None:
    result = result_on(np.zeros((480, 640, 3), np.uint8))
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: result.annotated, range(16)))
    assert all((image == drawn[0]).all() for image in drawn)
