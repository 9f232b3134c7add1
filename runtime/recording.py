"""Keeps pictures of a stream as they came from the camera: to calibrate on, or to label."""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from runtime.atomic_file import replace_when_done
from runtime.errors import OutputError
from runtime.frame_buffer import DropPolicy, FrameBuffer
from runtime.frames import FrameResult

# JPEG, not PNG: a small computer encodes it several times faster into a fraction of the space, and
# most cameras deliver JPEG anyway. At this quality, with colours at full resolution, a pixel moves
# by a grey level or two, far less than between two frames of a real sensor.
ENCODING = [
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
CAPACITY = 4  # pictures that wait for the disk; each is a copy


@dataclass(frozen=True)
class RecordingOptions:
    """What to record.

    Attributes:
        folder: Where pictures go; created.
        every: Keep one of so many pictures of the source, at least 1.
        most: Keep at most so many, at least 1.
    """

    folder: Path
    every: int
    most: int


class RecordingSink:
    """Writes some pictures to a folder, before boxes are drawn on them, in a thread of its own.

    Each file is complete when it has its name: UTC time of the start, then the picture's number, so
    that names sort by time and a second recording adds to the folder.

    Args:
        options: What to record.
        is_live: Whether the source is a camera. There, pictures that a slow disk has no time for
            are left out; of a file, all are written.
    """

    before_drawing = True

    def __init__(self, options: RecordingOptions, is_live: bool) -> None:
        options.folder.mkdir(parents=True, exist_ok=True)
        self._options = options
        self._started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        policy = DropPolicy.LATEST if is_live else DropPolicy.BLOCK
        self._waiting: FrameBuffer[tuple[Path, np.ndarray]] = FrameBuffer(CAPACITY, policy)
        self._next_sequence = 0
        self._accepted = 0
        self._written: list[Path] = []
        self._error: Exception | None = None
        self._closed = False
        self._writer = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._writer.start()

    @property
    def left_out(self) -> int:
        """Pictures that were due and that the disk had no time for."""
        return self._waiting.dropped

    def publish(self, result: FrameResult) -> None:
        """Hand on a copy, or not.

        Raises:
            OSError: If an earlier picture could not be written.
            OutputError: If it could not be encoded.
        """
        self._raise_error()
        frame, options = result.frame, self._options
        is_full = self._accepted - self._waiting.dropped >= options.most
        if frame.sequence < self._next_sequence or is_full:
            return
        self._next_sequence = frame.sequence + options.every
        path = options.folder / f"{self._started}-{frame.sequence:08d}.jpg"
        self._accepted += 1
        if not self._waiting.put((path, frame.image.copy())):
            self._raise_error()

    def close(self) -> None:
        """Wait for the last pictures and say how many there are.

        Raises:
            OSError: If a picture could not be written.
            OutputError: If it could not be encoded.
        """
        if self._closed:
            return
        self._waiting.close()
        self._writer.join()
        self._raise_error()
        self._closed = True
        late = f", {self.left_out} left out: the disk is slow" if self.left_out else ""
        print(f"recorded {len(self._written)} pictures in {self._options.folder}{late}")

    def discard(self) -> None:
        """Remove the pictures of this recording."""
        if self._closed:
            return
        self._waiting.cancel()
        self._writer.join()
        for path in self._written:
            path.unlink(missing_ok=True)
        self._closed = True

    def _write_all(self) -> None:
        """Write what comes until the end; the writer's thread."""
        try:
            while (item := self._waiting.get()) is not None:
                write_picture(*item)
                self._written.append(item[0])
        except (OSError, OutputError) as error:
            self._error = error
            self._waiting.cancel()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write a JPEG, completely or not at all.

    Args:
        path: The file; its folder is created.
        image: uint8 (H, W, 3), BGR.

    Raises:
        OSError: If it cannot be written.
        OutputError: If it is larger than a JPEG can be.
    """
    try:
        encoded, data = cv2.imencode(".jpg", image, ENCODING)
    except cv2.error:
        encoded = False
    if not encoded:
        height, width = image.shape[:2]
        raise OutputError(
            f"cannot encode a {width}x{height} picture as JPEG; expected at most 65500 pixels a "
            "side; leave out --record"
        )
    with replace_when_done(path) as partial:
        partial.write_bytes(data.tobytes())
