"""Video files through OpenCV's FFmpeg."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import cv2

from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.opencv_log import silence_opencv
from runtime.preprocess import bgr8_from_image
from runtime.sources import DEFAULT_FRAME_RATE

# Some containers state an estimated length: only a clear difference means "cut short".
LENGTH_TOLERANCE = 0.02
LENGTH_TOLERANCE_FRAMES = 2


class VideoSource:
    """A video file, read completely.

    Args:
        path: The file.
        name: Of the source; the file's own if left out.

    Raises:
        SourceError: If it is missing or no video that OpenCV can decode.
    """

    is_live = False
    stall_timeout_s: float | None = None

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = name or path.name
        check_video(path)
        silence_opencv()
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"{path} cannot be decoded; expected a complete video; it is cut short, empty or "
                "no video: copy it again or convert it"
            )
        self.frame_rate = stated_frame_rate(self._capture)
        self._promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._last_ms = 0.0
        self._sequence = 0

    def read(self) -> Frame | None:
        """Decode the next picture; None at the end."""
        delivered, image = self._capture.read()
        if not delivered:
            self._check_length()
            return None
        captured_ns = time.monotonic_ns()
        self._last_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        frame = Frame(bgr8_from_image(image, self.name), self.name, self._sequence, captured_ns)
        self._sequence += 1
        return frame

    def _check_length(self) -> None:
        """Refuse an end that comes clearly before the one the file promises.

        Both the number of pictures and the time of the last must fall short: many containers state
        a duration only, and the count that OpenCV makes of it is wrong where the rate varies.
        """
        tolerance = max(LENGTH_TOLERANCE_FRAMES, round(self._promised * LENGTH_TOLERANCE))
        expected = self._promised - tolerance
        expected_ms = (expected - 1) * 1000 / (self._capture.get(cv2.CAP_PROP_FPS) or math.inf)
        is_short = self._sequence < expected and self._last_ms < expected_ms
        if self._sequence == 0 or is_short:
            raise SourceError(
                f"{self._path} ended after {self._sequence} pictures; expected "
                f"{self._promised or 'at least 1'}; it is cut short: copy it again"
            )

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def check_video(path: Path) -> None:
    """Refuse a video that does not exist.

    Raises:
        SourceError: If there is no such file.
    """
    if not path.is_file():
        raise SourceError(f"no file at {path}; expected a video; check the path")


def stated_frame_rate(capture: Any) -> float:
    """Return the rate that a ``cv2.VideoCapture`` states, or a usual one for none or nonsense."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and 0.1 <= rate <= 1000.0 else DEFAULT_FRAME_RATE
