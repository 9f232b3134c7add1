"""RTSP cameras through OpenCV's FFmpeg, for machines without GStreamer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import cv2

from runtime.camera_gstreamer import FIRST_PICTURE_S
from runtime.camera_video import stated_frame_rate
from runtime.credentials import NetworkAddress
from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.opencv_log import silence_opencv
from runtime.preprocess import bgr8_from_image
from runtime.sources import stall_message

STALL_SHARE = 0.9  # a read that failed after so much of the timeout waited for it
OpenCapture = Callable[[NetworkAddress, float], Any]


class FfmpegSource:
    """A live RTSP camera that OpenCV's FFmpeg receives over TCP and decodes on the CPU.

    It cannot do all that GStreamer does: when the camera changes its size, OpenCV scales to the
    old one; there is no latency setting; a message cannot say why a camera refuses; and pictures
    that FFmpeg marks as damaged are delivered, because OpenCV does not pass the mark on.

    Args:
        name: For messages and records.
        address: Of the camera.
        stall_timeout_s: Longest silence that is not yet an error.
        open_capture: Connects, within some seconds; a test passes a fake.

    Attributes:
        decoder: What decodes.

    Raises:
        SourceError: If the camera cannot be reached, refuses, or sends no video.
    """

    is_live = True
    decoder = "OpenCV software (FFmpeg)"

    def __init__(
        self,
        name: str,
        address: NetworkAddress,
        stall_timeout_s: float,
        open_capture: OpenCapture | None = None,
    ) -> None:
        self.name = name
        self.stall_timeout_s: float | None = stall_timeout_s
        self._patience_s = stall_timeout_s
        self._sequence = 0
        silence_opencv()
        self._capture = (open_capture or _open_capture)(address, stall_timeout_s)
        if not self._capture.isOpened():
            self._capture.release()
            raise self._failure("does not open")  # FFmpeg says why on standard error only
        self.frame_rate = stated_frame_rate(self._capture)

    def read(self) -> Frame:
        """Wait for the next picture."""
        started = time.monotonic()
        delivered, image = self._capture.read()
        captured_ns = time.monotonic_ns()
        if not delivered or image is None or not image.size:
            if time.monotonic() - started >= STALL_SHARE * self._patience_s:
                raise SourceError(stall_message(self.name, self._patience_s, self._sequence))
            raise self._failure("ended the stream")
        frame = Frame(bgr8_from_image(image, self.name), self.name, self._sequence, captured_ns)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Cut the connection."""
        self._capture.release()

    def _failure(self, what: str) -> SourceError:
        return SourceError(
            f"{self.name} {what}; expected an RTSP stream with H.264 or "
            "H.265; check the address, user and password, and that the camera is on"
        )


def _open_capture(address: NetworkAddress, stall_timeout_s: float) -> Any:
    # The only way to ask for TCP; read whenever OpenCV opens a video, and of no effect on files.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    limits = (
        (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, max(FIRST_PICTURE_S, stall_timeout_s)),
        (cv2.CAP_PROP_READ_TIMEOUT_MSEC, stall_timeout_s),
    )
    parameters = [value for limit, seconds in limits for value in (limit, round(seconds * 1000))]
    return cv2.VideoCapture(address.with_login, cv2.CAP_FFMPEG, parameters)
