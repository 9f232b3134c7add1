"""Cameras and video files through OpenCV."""

from __future__ import annotations

import glob
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.opencv_log import silence_opencv
from runtime.preprocess import bgr8_from_image
from runtime.sources import stall_message

DEFAULT_FRAME_RATE = 30.0
STALL_TIMEOUT_S = 5.0
RETRY_S = 0.01
# Some containers state an estimated length: only a clear difference means "cut short".
LENGTH_TOLERANCE = 0.02
LENGTH_TOLERANCE_FRAMES = 2


class CameraSource:
    """A V4L2 camera, live.

    Args:
        device: Its index, such as "0", or its path, such as "/dev/video0".
        open_capture: Opens the device; a test passes a fake.
        stall_timeout_s: Longest silence that is not yet an error.

    Raises:
        SourceError: If there is no such camera, or it cannot be opened.
    """

    is_live = True

    def __init__(
        self,
        device: str,
        open_capture: Callable[[str], Any] | None = None,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self.name = f"camera {device}"
        self.stall_timeout_s: float | None = stall_timeout_s
        self._patience_s = stall_timeout_s
        silence_opencv()
        self._capture = (open_capture or _open_camera)(device)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self.name} does not open; expected a V4L2 camera that no other program uses; "
                "check its rights (group video) and: v4l2-ctl --list-devices"
            )
        self.frame_rate = _frame_rate(self._capture)
        self._sequence = 0
        self._reading = threading.Lock()

    def read(self) -> Frame:
        """Wait for the next picture; a failed read is repeated until the stall timeout."""
        deadline = time.monotonic() + self._patience_s
        while True:
            with self._reading:
                delivered, image = self._capture.read()
            if delivered and image is not None and image.size:
                break
            if time.monotonic() > deadline:
                raise SourceError(stall_message(self.name, self._patience_s, self._sequence))
            time.sleep(RETRY_S)
        captured_ns = time.monotonic_ns()
        frame = Frame(bgr8_from_image(image, self.name), self.name, self._sequence, captured_ns)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Give the device back; while another thread hangs in ``read``, leave it as it is.

        OpenCV would crash: the device is then given back when the process ends.
        """
        if self._reading.acquire(blocking=False):
            self._capture.release()
            self._reading.release()


def _open_camera(device: str) -> Any:
    """Open a camera by index or path with OpenCV."""
    path = f"/dev/video{device}" if device.isdecimal() else device
    if sys.platform == "linux" and not os.path.exists(path):
        present = ", ".join(sorted(glob.glob("/dev/video*"))) or "none"
        raise SourceError(
            f"camera {device} does not exist ({path}); expected one of: {present}; choose another "
            "index, or use --video or --images"
        )
    interface = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    capture = cv2.VideoCapture(int(device) if device.isdecimal() else device, interface)
    # One buffer in the driver: with more, a slow reader would see old pictures.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


class VideoSource:
    """A video file, read completely.

    Args:
        path: The file.

    Raises:
        SourceError: If it is missing or no video that OpenCV can decode.
    """

    is_live = False
    stall_timeout_s: float | None = None

    def __init__(self, path: Path) -> None:
        self.name = path.name
        if not path.is_file():
            raise SourceError(f"no file at {path}; expected a video; check the path")
        silence_opencv()
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"{path} cannot be decoded; expected a complete video; it is cut short, empty or "
                "no video: copy it again or convert it"
            )
        self.frame_rate = _frame_rate(self._capture)
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


def _frame_rate(capture: Any) -> float:
    """Return the stated rate, or a usual one where none or nonsense is stated."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and 0.1 <= rate <= 1000.0 else DEFAULT_FRAME_RATE
