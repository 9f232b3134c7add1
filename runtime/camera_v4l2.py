"""USB and other V4L2 cameras through OpenCV."""

from __future__ import annotations

import glob
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from runtime.camera_video import stated_frame_rate
from runtime.driver_thread import DriverThread
from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.notices import notice_once
from runtime.opencv_log import silence_opencv
from runtime.options_sources import STALL_TIMEOUT_S
from runtime.preprocess import bgr8_from_image
from runtime.sources import stall_message

RETRY_S = 0.01
OPEN_TIMEOUT_S = 15.0  # webcams take some seconds
RELEASE_TIMEOUT_S = 2.0
# Compressed, so that USB carries large pictures at full rate; every UVC webcam of note has it.
COMPRESSED = "MJPG"
# One is filled while the other is read. With one alone the camera has nowhere to put every second
# picture: 15 instead of 30 FPS (github.com/LibreScanner/horus/issues/60). With more, a slow reader
# would see old pictures.
DRIVER_BUFFERS = 2
# Drivers state 29.97 for 30, and the like.
RATE_TOLERANCE = 0.01
# How long one read waits in OpenCV, whose own 10 s would be longer than most stall timeouts.
WAIT_VARIABLE, WAIT_S = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1"


@dataclass(frozen=True)
class CaptureOptions:
    """What to ask a camera for.

    Attributes:
        size_hw: Height and width of its pictures; None for what it gives by itself.
        frame_rate: Pictures per second; None likewise.
        pixel_format: Four letters, such as "MJPG" or "YUYV"; None for raw pictures, or compressed
            ones where the camera gives size and rate only so.
        stall_timeout_s: Longest silence that is not yet an error.
    """

    size_hw: tuple[int, int] | None = None
    frame_rate: float | None = None
    pixel_format: str | None = None
    stall_timeout_s: float = STALL_TIMEOUT_S


class CameraSource:
    """A V4L2 camera, live.

    What the camera cannot give as asked is said once and goes on as it is.

    Args:
        device: Its index, such as "0", or its path, such as "/dev/video0".
        options: What to ask it for.
        name: For messages and records; made of ``device`` if left out.
        open_capture: Opens the device; a test passes a fake.

    Raises:
        SourceError: If there is no such camera, or it cannot be opened.
    """

    is_live = True

    def __init__(
        self,
        device: str,
        options: CaptureOptions = CaptureOptions(),
        name: str | None = None,
        open_capture: Callable[[str], Any] | None = None,
    ) -> None:
        self.name = name or f"camera {device}"
        self.stall_timeout_s: float | None = options.stall_timeout_s
        self._patience_s = options.stall_timeout_s
        self._path = device_path(device)
        self._sequence = 0
        self._driver = DriverThread(self.name)
        try:
            self._capture = self._driver.call(
                lambda: self._connect(device, options, open_capture or self._open), OPEN_TIMEOUT_S
            )
        except BaseException as error:
            self._driver.end(lambda: None, 0.0)
            if isinstance(error, TimeoutError):
                raise SourceError(
                    f"{self.name} did not open within {OPEN_TIMEOUT_S:g} s; expected its driver to "
                    "answer; plug it in again, or restart the machine"
                ) from None
            raise
        self._has_node = os.path.exists(self._path)  # not on every system
        self.frame_rate = stated_frame_rate(self._capture)

    def read(self) -> Frame:
        """Wait for the next picture; a failed read is repeated until the stall timeout.

        Raises:
            SourceError: If the camera was unplugged, fell silent, or its driver hangs.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                left_s = deadline - time.monotonic()
                captured_ns, image = self._driver.call(self._grab, max(left_s, RETRY_S))
            except TimeoutError:
                message = stall_message(self.name, self._patience_s, self._sequence)
                raise SourceError(message) from None
            if image is not None and image.size:
                break
            self._check_failure(deadline)
            time.sleep(RETRY_S)
        frame = Frame(bgr8_from_image(image, self.name), self.name, self._sequence, captured_ns)
        self._sequence += 1
        return frame

    def _grab(self) -> tuple[int, np.ndarray | None]:
        """Return when a picture came, before it was decoded, and the picture, if one did."""
        grabbed = self._capture.grab()
        captured_ns = time.monotonic_ns()
        delivered, image = self._capture.retrieve() if grabbed else (False, None)
        return captured_ns, image if delivered else None

    def _check_failure(self, deadline: float) -> None:
        """Say what a failed read means: nothing yet, an unplugged camera, or a silent one."""
        if self._has_node and not os.path.exists(self._path):
            raise SourceError(
                f"{self.name} is gone after {self._sequence} pictures ({self._path} vanished); "
                "expected it to stay; plug it in again and check its cable and power"
            )
        if time.monotonic() > deadline:
            raise SourceError(stall_message(self.name, self._patience_s, self._sequence))

    def close(self) -> None:
        """Give the device back; where the driver hangs, as soon as it no longer does."""
        self._driver.end(self._capture.release, RELEASE_TIMEOUT_S)

    def _connect(
        self, device: str, options: CaptureOptions, open_capture: Callable[[str], Any]
    ) -> Any:
        """Open the camera and ask it for what is wanted."""
        silence_opencv()
        capture = open_capture(device)
        if not capture.isOpened():
            raise SourceError(_closed_message(self.name, self._path))
        _configure(capture, options)
        if lacks := _differences(capture, options):
            notice_once(
                f"{self.name} {lacks}; see what it can do: v4l2-ctl --device {self._path} "
                "--list-formats-ext"
            )
        return capture

    def _open(self, device: str) -> Any:
        """Open a camera by index or path with OpenCV."""
        on_linux = sys.platform == "linux"
        if on_linux and not os.path.exists(self._path):
            present = ", ".join(sorted(glob.glob("/dev/video*")))
            expected = f"one of: {present}" if present else "a camera, and this machine has none"
            raise SourceError(
                f"{self.name} does not exist ({self._path}); expected {expected}; see what there "
                "is with --list-cameras, or use --video or --images"
            )
        os.environ.setdefault(WAIT_VARIABLE, WAIT_S)  # read when the first camera is read
        interface = cv2.CAP_V4L2 if on_linux else cv2.CAP_ANY
        return cv2.VideoCapture(int(device) if device.isdecimal() else device, interface)


def device_path(device: str) -> str:
    """Return the path of a camera that is named by index or path."""
    return f"/dev/video{int(device)}" if device.isdecimal() else device


def _closed_message(name: str, path: str) -> str:
    """Say why a camera that exists may not open."""
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return (
            f"{name} may not be opened by this user ({path}); expected rights to read and write; "
            "join its group and log in again: sudo usermod --append --groups video $USER"
        )
    return (
        f"{name} does not open; expected a V4L2 camera that delivers pictures and that no other "
        "program uses; see which do, and how to use each: --list-cameras"
    )


def _configure(capture: Any, options: CaptureOptions) -> None:
    """Ask a camera for format, size and rate; for compressed pictures where raw ones fall short."""
    capture.set(cv2.CAP_PROP_BUFFERSIZE, DRIVER_BUFFERS)
    if options.pixel_format is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*options.pixel_format.ljust(4)))
    _set_size_and_rate(capture, options)
    is_free = options.pixel_format is None
    if is_free and _differences(capture, options):
        if capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*COMPRESSED)):
            _set_size_and_rate(capture, options)


def _set_size_and_rate(capture: Any, options: CaptureOptions) -> None:
    # The order matters: a driver limits sizes by the format, and rates by the size.
    if options.size_hw is not None:
        height, width = options.size_hw
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    if options.frame_rate is not None:
        capture.set(cv2.CAP_PROP_FPS, options.frame_rate)


def _differences(capture: Any, options: CaptureOptions) -> str:
    """Return what the camera gives instead of what it was asked for; empty if it complies."""
    got, asked = [], []
    if options.size_hw is not None:
        height, width = options.size_hw
        gives = [int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if gives != [width, height]:
            got.append("{}x{}".format(*gives))
            asked.append(f"{width}x{height}")
    if options.frame_rate is not None:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        # Some drivers state no rate at all.
        if rate > 0 and abs(rate / options.frame_rate - 1) > RATE_TOLERANCE:
            got.append(f"{rate:g} FPS")
            asked.append(f"{options.frame_rate:g} FPS")
    if options.pixel_format is not None:
        letters = _letters_from(int(capture.get(cv2.CAP_PROP_FOURCC)))
        if letters != options.pixel_format:
            got.append(letters or "another format")
            asked.append(options.pixel_format)
    return f"gives {', '.join(got)}; asked for {', '.join(asked)}" if got else ""


def _letters_from(code: int) -> str:
    """Return a FOURCC as letters; empty if it has none."""
    letters = code.to_bytes(4, "little", signed=code < 0).decode("ascii", errors="replace").strip()
    return letters if letters.isascii() and letters.isprintable() else ""
