"""One captured picture, where it came from, and what was found on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runtime.detections import Detections
from runtime.drawing import draw_detections
from runtime.tracks import Tracks

# Draws a camera's zones and lines, with what is counted at them, on a picture.
DrawPlaces = Callable[[np.ndarray, Tracks | None], object]
NO_PICTURE = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Frame:
    """A picture as a source delivered it.

    Attributes:
        image: uint8 (H, W, 3), BGR. Everybody may keep it and nobody writes to it: a source never
            reuses the memory, and sinks share it.
        source: Which source or file it came from, for messages and records.
        sequence: Number of the picture within its source, from 0.
        captured_ns: Monotonic clock in nanoseconds when the picture was received.
    """

    image: np.ndarray
    source: str
    sequence: int
    captured_ns: int


@dataclass(frozen=True)
class FrameResult:
    """A picture and what was found on it, on its way to the sinks, which share it: write to none.

    Attributes:
        camera: Name of the source it came from, unique within a stream.
        frame: The picture, without boxes; its ``sequence`` grows within a camera, also when the
            camera was lost and came back.
        detections: What the network found, in pixels of the picture.
        class_names: Names by class id.
        times_ms: How long each stage took on it, and its ``age``: from capture until now.
        tracks: What tracking adds; None without tracking.
        image_hw: Height and width of the picture, known also where it was left out.
        draw_places: Draws the camera's zones and lines; None where there are none.
    """

    camera: str
    frame: Frame
    detections: Detections
    class_names: Sequence[str]
    times_ms: dict[str, float]
    image_hw: tuple[int, int]
    tracks: Tracks | None = None
    draw_places: DrawPlaces | None = None

    @functools.cached_property
    def annotated(self) -> np.ndarray:
        """The picture with its boxes, uint8 (H, W, 3) BGR: drawn when first asked for, on a copy.

        Two threads that ask at once may both draw; both get a whole picture.
        """
        image = self.frame.image.copy()
        if self.draw_places is not None:
            self.draw_places(image, self.tracks)
        ids = None if self.tracks is None else self.tracks.ids
        return draw_detections(image, self.detections, self.class_names, ids)

    def without_picture(self) -> FrameResult:
        """Return the same without the picture, for those who keep many."""
        return replace(self, frame=replace(self.frame, image=NO_PICTURE))
