"""Network cameras that send JPEGs over HTTP (MJPEG)."""

from __future__ import annotations

import http.client
import time
import urllib.error

import cv2
import numpy as np

from runtime.credentials import NetworkAddress
from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.http_stream import RECEIVE_BYTES, Deadline, open_http_stream
from runtime.multipart_images import MultipartParser, is_whole_jpeg
from runtime.opencv_log import silence_opencv
from runtime.sources import stall_message

FRAME_RATE = 25.0  # HTTP states none
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)


class MjpegSource:
    """A live camera that sends ``multipart/x-mixed-replace`` over HTTP.

    A reader that was busy gets the newest picture that waits; those before it are not decoded. What
    is no whole JPEG is left out.

    Args:
        name: For messages and records.
        address: Of the stream.
        stall_timeout_s: Longest silence that is not yet an error, and longest wait for an answer.

    Attributes:
        decoder: What decodes.

    Raises:
        SourceError: If the camera cannot be reached, refuses, or sends something else.
    """

    is_live = True
    frame_rate = FRAME_RATE
    decoder = "OpenCV software (JPEG)"

    def __init__(self, name: str, address: NetworkAddress, stall_timeout_s: float) -> None:
        self.name = name
        self.stall_timeout_s: float | None = stall_timeout_s
        self._patience_s = stall_timeout_s
        self._address = address
        self._sequence = 0
        self._deadline = Deadline(stall_timeout_s)
        silence_opencv()
        try:
            self._response = open_http_stream(address, self._deadline)
        except NETWORK_ERRORS as error:
            raise self._failure(_reason(error)) from None
        try:
            self._parser = MultipartParser(self._boundary())
        except BaseException:
            self._response.close()
            raise

    def read(self) -> Frame:
        """Wait for the next whole picture; its time is when its last byte was here."""
        self._deadline.restart(self._patience_s)
        while True:
            for part in reversed(self._receive()):
                captured_ns = time.monotonic_ns()
                image = decode_jpeg(part)
                if image is not None:
                    frame = Frame(image, self.name, self._sequence, captured_ns)
                    self._sequence += 1
                    return frame

    def close(self) -> None:
        """Cut the connection."""
        self._response.close()

    def _receive(self) -> list[bytes]:
        """Wait for more bytes and return the parts that they complete."""
        try:
            self._deadline.remaining_s()  # a server that sends garbage quickly never lets us wait
            data = self._response.read1(RECEIVE_BYTES)
            parts = self._parser.feed(data)
        except TimeoutError:
            message = stall_message(self.name, self._patience_s, self._sequence)
            raise SourceError(message) from None
        except NETWORK_ERRORS as error:
            raise self._failure(_reason(error)) from None
        if not parts and (not data or self._parser.has_ended):
            raise self._failure("the camera ended the stream")
        return parts

    def _boundary(self) -> str:
        """Return what separates the pictures."""
        kind = self._response.headers.get_content_type()
        boundary = self._response.headers.get_boundary()
        if not kind.startswith("multipart/") or not (boundary or "").strip("-"):
            raise self._failure(f"got content of type {kind[:80]}")
        return str(boundary)

    def _failure(self, reason: str) -> SourceError:
        reason = " ".join(self._address.scrub(reason).split())[:300]
        return SourceError(
            f"{self.name} failed: {reason}; expected an MJPEG stream "
            "(multipart/x-mixed-replace with a boundary); check the address, user and password, "
            "and that the camera is on"
        )


def decode_jpeg(data: bytes) -> np.ndarray | None:
    """Return the picture, uint8 (H, W, 3) BGR; None if this is no whole JPEG."""
    if not is_whole_jpeg(data):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # an absurd size
        return None


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong; with the class where it has no words."""
    if isinstance(error, urllib.error.HTTPError):
        hint = " (user or password is wrong or missing)" if error.code == 401 else ""
        return f"HTTP status {error.code} {error.reason}{hint}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
