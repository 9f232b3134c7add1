"""Results for sinks, without a stream."""

from __future__ import annotations

import numpy as np

from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.tracks import Tracks
from tests.builders import picture

CLASS_NAMES = ("square", "circle")


def found(*boxes: tuple[int, float]) -> Detections:
    """Return detections of these classes and scores, best first."""
    return Detections(
        np.float32([[0, 0, 5, 5]] * len(boxes)).reshape(-1, 4),
        np.float32([score for _, score in boxes]),
        np.int32([class_id for class_id, _ in boxes]),
    )


def result(
    sequence: int = 0,
    image: np.ndarray | None = None,
    seconds: float = 0.0,
    camera: str = "clip.mp4",
    detections: Detections | None = None,
    tracks: Tracks | None = None,
) -> FrameResult:
    """Return a result of a camera, without boxes unless they are given."""
    image = picture() if image is None else image
    return FrameResult(
        camera=camera,
        frame=Frame(image, camera, sequence, round(seconds * 1e9)),
        detections=Detections.empty() if detections is None else detections,
        class_names=CLASS_NAMES,
        times_ms={"age": 12.34},
        image_hw=(image.shape[0], image.shape[1]),
        tracks=tracks,
    )
