"""Annotated video: the pictures with their boxes, as an MP4."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import cv2

from runtime.atomic_file import partial_path
from runtime.disk_budget import check_reserve
from runtime.errors import OutputError
from runtime.frames import FrameResult
from runtime.geometry import Letterbox
from runtime.opencv_log import silence_opencv
from runtime.output_faults import explained, remove_if_possible
from runtime.preprocess import letterbox_image
from runtime.video_encoders import VideoEncoder, VideoFormat, open_encoder

SMALLEST_VIDEO_PX = 16  # one macroblock
USUAL_RATE = 30.0  # for a camera that does not say
LONGEST_STILL_S = 2.0  # a camera that is away for longer is not shown as if it stood still
CHECK_ROOM_EVERY_S = 1.0


class VideoSink:
    """Writes one camera's pictures as an MP4 of constant frame rate.

    Pictures of another size than the first are letterboxed. A live source loses pictures, and its
    true rate is not the one it states: there, pictures are repeated or left out so that the video
    runs as fast as the scene did. While a camera is away the video stands still for
    ``LONGEST_STILL_S`` and then goes on with its return.

    Args:
        path: The file; written under another name until ``close``.
        frame_rate: Returns pictures per second; asked once, with the first picture, when the source
            is open. What is no positive number counts as ``USUAL_RATE``.
        keep_time: Whether to follow the capture times, for a live source. Such a video is also
            finished before the disk is full, finished by ``discard``, and kept after a failure if
            it can be played; an earlier video of its name is set aside instead of replaced.

    Raises:
        OutputError: If there cannot be such a file.
    """

    name = "save"
    needs_picture = True
    in_main_thread = False

    def __init__(self, path: Path, frame_rate: Callable[[], float], keep_time: bool) -> None:
        self._path = path
        with explained(self.name, path):
            self._partial = partial_path(path)
        self._ask_rate = frame_rate
        self._keep_time = keep_time
        self._encoder: VideoEncoder | None = None
        self._video = VideoFormat((0, 0), USUAL_RATE)
        self._first_ns = 0
        self._latest_ns = 0
        self._written = 0
        self._room_checked_s = -math.inf

    def publish(self, result: FrameResult) -> None:
        """Encode one picture."""
        captured_ns = result.frame.captured_ns
        if self._keep_time:
            self._check_room()
        if self._encoder is None:
            self._encoder = self._open_encoder(result.image_hw)
            self._first_ns = self._latest_ns = captured_ns
        copies = self._copies_due(captured_ns)
        if copies == 0:
            return
        image, size_hw = result.annotated, self._video.size_hw
        if image.shape[:2] != size_hw:
            image = letterbox_image(image, Letterbox.fit(image.shape[:2], size_hw))
        for _ in range(copies):
            self._encoder.write(image)
            self._written += 1

    def close(self) -> None:
        """Finish the video and give it its name; without pictures there is none."""
        if self._encoder is None:
            return
        encoder, self._encoder = self._encoder, None
        try:
            encoder.finish()
        except OutputError:
            if self._keep_time and _can_be_played(self._partial):
                self._give_name()
            else:
                remove_if_possible(self._partial)
            raise
        finally:
            encoder.abort()
        self._give_name()

    def discard(self) -> None:
        """Drop the video; a live one is finished instead, for nobody can film it again."""
        if self._keep_time:
            with contextlib.suppress(OutputError):  # something worse has been told already
                self.close()
        if self._encoder is not None:
            self._encoder.abort()
            self._encoder = None
        remove_if_possible(self._partial)

    def _give_name(self) -> None:
        with explained(self.name, self._path):
            if self._keep_time:
                _set_aside(self._path)
            os.replace(self._partial, self._path)

    def _open_encoder(self, image_hw: tuple[int, int]) -> VideoEncoder:
        """Choose the size from the first picture: even, as the encoder's colours need."""
        height, width = (max(SMALLEST_VIDEO_PX, side + side % 2) for side in image_hw)
        rate = self._ask_rate()
        is_rate = math.isfinite(rate) and rate > 0
        self._video = VideoFormat((height, width), rate if is_rate else USUAL_RATE)
        with explained(self.name, self._path):
            return open_encoder(self._partial, self._video)

    def _copies_due(self, captured_ns: int) -> int:
        """Return how often this picture must appear for the video to run in true time."""
        if not self._keep_time:
            return 1
        # Time without pictures is cut out as if the stream had begun so much later.
        gap_ns = captured_ns - self._latest_ns
        self._first_ns += max(0, gap_ns - round(LONGEST_STILL_S * 1e9))
        self._latest_ns = captured_ns
        position = round((captured_ns - self._first_ns) * 1e-9 * self._video.frame_rate)
        return max(0, position + 1 - self._written)

    def _check_room(self) -> None:
        """End the video while there is still room to finish it."""
        now_s = time.monotonic()
        if now_s - self._room_checked_s >= CHECK_ROOM_EVERY_S:
            self._room_checked_s = now_s
            check_reserve(self.name, self._path)


def _set_aside(path: Path) -> None:
    """Add to an earlier video's name when it ended (UTC); nobody can film it again."""
    if not path.is_file():
        return
    ended = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    stem = f"{path.stem}-{ended:%Y%m%dT%H%M%SZ}"
    stems = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    path.rename(next(aside for s in stems if not (aside := path.with_stem(s)).exists()))


def _can_be_played(path: Path) -> bool:
    """Say whether a file has a first picture."""
    silence_opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        return bool(capture.isOpened() and capture.read()[0])
    finally:
        capture.release()
