"""Frames and results are records that cannot be reassigned by accident."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.frames import Frame, FrameResult


def test_a_frame_is_frozen_and_shares_its_picture() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    frame = Frame(image, "camera 0", 4, 123)
    assert frame.image is image
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.sequence = 5  # type: ignore[misc]


def test_a_result_collects_times_on_its_way() -> None:
    frame = Frame(np.zeros((2, 3, 3), np.uint8), "camera 0", 0, 0)
    result = FrameResult(frame, Detections.empty(), {"network": 1.0})
    result.times_ms["draw"] = 2.0
    assert list(result.times_ms) == ["network", "draw"]
