"""Where results go: a video, a file of JSON lines, a window."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from runtime.atomic_file import partial_path
from runtime.errors import OutputError
from runtime.frames import FrameResult
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image

FOURCC = cv2.VideoWriter.fourcc(*"mp4v")  # MPEG-4 part 2: the one encoder in every OpenCV build
SMALLEST_VIDEO_PX = 16  # one macroblock
WINDOW_TITLE = "CornerRT"
KEYS_TO_QUIT = frozenset({ord("q"), 27})  # 27 is Escape


class Sink(Protocol):
    """Takes results one by one, in the order of capture. Use from one thread.

    Attributes:
        before_drawing: Whether it takes pictures as the source delivered them, without boxes.
    """

    before_drawing: bool

    def publish(self, result: FrameResult) -> None:
        """Take one result. Copy what is to be kept: the picture's memory is drawn on."""
        ...

    def close(self) -> None:
        """Finish: a file appears under its name now."""
        ...

    def discard(self) -> None:
        """Give up: no file stays behind. Does nothing after ``close``."""
        ...


class VideoSink:
    """Writes the pictures as an MP4 of constant frame rate.

    Pictures of another size than the first are letterboxed. A live source loses pictures, and its
    true rate is not the one it states: there, pictures are repeated or left out so that the video
    runs as fast as the scene did.

    Args:
        path: The file; written under another name until ``close``.
        frame_rate: Pictures per second.
        keep_time: Whether to follow the capture times, for a live source.
    """

    before_drawing = False

    def __init__(self, path: Path, frame_rate: float, keep_time: bool) -> None:
        self._path = path
        self._partial = partial_path(path)
        self._frame_rate = _encodable_rate(frame_rate)
        self._keep_time = keep_time
        self._writer: cv2.VideoWriter | None = None
        self._size_hw = (0, 0)
        self._first_ns = 0
        self._written = 0

    def publish(self, result: FrameResult) -> None:
        """Encode one picture."""
        image = result.frame.image
        if self._writer is None:
            self._writer = self._open_writer(image)
            self._first_ns = result.frame.captured_ns
        if image.shape[:2] != self._size_hw:
            image = letterbox_image(image, Letterbox.fit(image.shape[:2], self._size_hw))
        for _ in range(self._copies_due(result.frame.captured_ns)):
            self._writer.write(image)
            self._written += 1

    def _open_writer(self, image: np.ndarray) -> cv2.VideoWriter:
        """Choose the size from the first picture: even, as the encoder's colours need."""
        height, width = (max(SMALLEST_VIDEO_PX, side + side % 2) for side in image.shape[:2])
        writer = cv2.VideoWriter(
            str(self._partial), cv2.CAP_FFMPEG, FOURCC, self._frame_rate, (width, height)
        )
        self._size_hw = (height, width)
        if not writer.isOpened():
            raise OutputError(
                f"cannot write a {width}x{height} video to {self._path}; expected a writable "
                "folder and an OpenCV with FFmpeg; choose another --save path"
            )
        return writer

    def _copies_due(self, captured_ns: int) -> int:
        """Return how often this picture must appear for the video to run in true time."""
        if not self._keep_time:
            return 1
        position = round((captured_ns - self._first_ns) * 1e-9 * self._frame_rate)
        return max(0, position + 1 - self._written)

    def close(self) -> None:
        """Finish the video and check that it holds what was written to it."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        check = cv2.VideoCapture(str(self._partial), cv2.CAP_FFMPEG)
        stored = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if stored != self._written:  # OpenCV does not report a full disk
            self._partial.unlink(missing_ok=True)
            raise OutputError(
                f"{self._path} would hold {stored} of {self._written} pictures; expected all; is "
                "the disk full?"
            )
        os.replace(self._partial, self._path)

    def discard(self) -> None:
        """Drop the video."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._partial.unlink(missing_ok=True)


def _encodable_rate(frame_rate: float) -> float:
    """Round a rate so that MPEG-4 can state it, as a fraction whose numerator has 16 bits."""
    decimals = 3 if frame_rate < 65 else 2 if frame_rate < 655 else 0
    return round(frame_rate, decimals)


class JsonlSink:
    """Writes one JSON object per picture.

    Keys: ``frame`` (number within the source), ``source``, ``captured_ns`` (monotonic clock),
    ``image_hw``, and ``detections``, a list of ``class_name``, ``class_id``, ``score``,
    ``box_xyxy`` in pixels, best first.

    Args:
        path: The file; written under another name until ``close``.
        class_names: Names by class id.
    """

    before_drawing = False

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._path = path
        self._partial = partial_path(path)
        self._class_names = class_names
        self._stream = self._partial.open("w", encoding="utf-8")

    def publish(self, result: FrameResult) -> None:
        """Write one line."""
        frame, found = result.frame, result.detections
        rows = zip(
            found.class_ids.tolist(),
            found.scores.astype(np.float64).round(4).tolist(),
            found.boxes_xyxy.astype(np.float64).round(2).tolist(),
            strict=True,
        )
        record = {
            "frame": frame.sequence,
            "source": frame.source,
            "captured_ns": frame.captured_ns,
            "image_hw": frame.image.shape[:2],
            "detections": [
                {
                    "class_name": self._class_names[class_id],
                    "class_id": class_id,
                    "score": score,
                    "box_xyxy": box,
                }
                for class_id, score, box in rows
            ],
        }
        self._stream.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """Give the file its name."""
        if not self._stream.closed:
            self._stream.close()
            os.replace(self._partial, self._path)

    def discard(self) -> None:
        """Drop the file."""
        with contextlib.suppress(OSError):  # a full disk refuses the last lines once more
            self._stream.close()
        self._partial.unlink(missing_ok=True)


class WindowSink:
    """Shows the pictures in a window; Escape or ``q`` ends the stream.

    Use from the main thread: window systems insist on it.

    Attributes:
        quit_requested: Whether the user pressed a key to quit.

    Raises:
        OutputError: If this OpenCV has no windows, or there is no display.
    """

    before_drawing = False

    def __init__(self) -> None:
        self.quit_requested = False
        self._is_open = False
        # Checked first: without a display, OpenCV's window library ends the process.
        if sys.platform == "linux" and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise OutputError(
                "--show found no display (DISPLAY is not set); expected a desktop session; use "
                "--save, or log in with: ssh -X" + _headless_hint()
            )
        try:
            cv2.namedWindow(WINDOW_TITLE, cv2.WINDOW_NORMAL)
            self._is_open = True
        except cv2.error:
            raise OutputError(
                f"--show needs windows, which this OpenCV {cv2.__version__} lacks; use --save"
                + _headless_hint()
            ) from None

    def publish(self, result: FrameResult) -> None:
        """Show one picture and look for a key."""
        cv2.imshow(WINDOW_TITLE, result.frame.image)
        if cv2.waitKey(1) & 0xFF in KEYS_TO_QUIT:
            self.quit_requested = True

    def close(self) -> None:
        """Close the window."""
        if self._is_open:
            self._is_open = False
            cv2.destroyWindow(WINDOW_TITLE)

    def discard(self) -> None:
        """Close the window."""
        self.close()


def _headless_hint() -> str:
    """Name the package to install where OpenCV was built without windows."""
    gui = next((line for line in cv2.getBuildInformation().splitlines() if " GUI:" in line), "")
    if "NONE" not in gui:
        return ""
    return (
        "; and this is the headless OpenCV: pip uninstall opencv-python-headless, then "
        "pip install opencv-python"
    )
