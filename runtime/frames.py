"""One captured picture, where it came from, and what was found on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.detections import Detections


@dataclass(frozen=True)
class Frame:
    """A picture as a source delivered it.

    Attributes:
        image: uint8 (H, W, 3), BGR. The receiver may keep it: a source never reuses the memory.
        source: Which source it came from, for messages and records.
        sequence: Number of the picture within its source, from 0.
        captured_ns: Monotonic clock in nanoseconds when the picture was received.
    """

    image: np.ndarray
    source: str
    sequence: int
    captured_ns: int


@dataclass(frozen=True)
class FrameResult:
    """A picture on its way to the sinks.

    Attributes:
        frame: The picture; boxes are drawn on its memory once it reaches presentation.
        detections: What the network found, in pixels of the picture.
        times_ms: How long each stage took on it so far.
    """

    frame: Frame
    detections: Detections
    times_ms: dict[str, float]
