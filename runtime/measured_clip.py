"""The pictures that are measured on: a clip, images or the test pattern, again and again."""

from __future__ import annotations

import glob
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from runtime.camera_files import SUFFIXES, ImageFilesSource, list_images
from runtime.camera_test_pattern import PatternOptions, PatternSource, parse_test_address
from runtime.camera_video import VideoSource, check_video
from runtime.errors import SourceError, UsageError
from runtime.frames import Frame
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image
from runtime.sources import DEFAULT_FRAME_RATE, Source

DEMO_CLIP = Path("build/demo/clip.mp4")  # what `make demo` leaves there
TEST_PATTERN = "test://"
EXPECTED = f"a video, a folder of images or {TEST_PATTERN}"


@dataclass(frozen=True)
class Clip:
    """Pictures that can be read from the start any number of times.

    Attributes:
        name: As it was given.
        frame_rate: Pictures per second of the camera that it stands for.
        open: Returns a source of all its pictures, as fast as they are read.
    """

    name: str
    frame_rate: float
    open: Callable[[], Source]


def find_clip(name: str | None) -> Clip:
    """Return what ``--frames`` names.

    Args:
        name: A video, a folder or pattern of images, one image, or an address of the test pattern;
            None for the demo's clip where it exists, else the test pattern.

    Raises:
        SourceError: If there is no such file, no image, or the video cannot be decoded.
        UsageError: If an address is malformed, or a camera's.
    """
    if name is None:
        name = str(DEMO_CLIP) if DEMO_CLIP.is_file() else TEST_PATTERN
    if not name:
        raise UsageError(f"--frames got ''; expected {EXPECTED}; name one")
    if name.startswith(TEST_PATTERN):
        pattern = _parse_pattern(name)
        fast = replace(pattern, frame_rate=None)
        return Clip(name, pattern.frame_rate or DEFAULT_FRAME_RATE, partial(_open_pattern, fast))
    if "://" in name or name.isdecimal() or name.startswith("/dev/"):
        raise UsageError(
            f"--frames got {name}; expected {EXPECTED}: a camera shows no picture twice; record a "
            "clip first: stream.py --camera ... --save"
        )
    path = Path(name)
    if path.is_dir() or path.suffix.lower() in SUFFIXES or glob.has_magic(name):
        list_images(name)
        # Each picture is one of a camera: the rate of a folder is made for looking at them.
        return Clip(name, DEFAULT_FRAME_RATE, partial(ImageFilesSource, name))
    check_video(path)
    source = VideoSource(path)
    source.close()
    return Clip(name, source.frame_rate, partial(VideoSource, path))


def _parse_pattern(name: str) -> PatternOptions:
    """Read an address of the test pattern; what is wrong with it is said of ``--frames``."""
    try:
        return parse_test_address(name)
    except UsageError as error:
        raise UsageError(str(error).replace("--camera got", "--frames got", 1)) from None


def _open_pattern(options: PatternOptions) -> Source:
    return PatternSource(options)


class ClipReader:
    """Reads a clip from the start and, at its end, from the start again. From one thread.

    Args:
        clip: What to read.

    Attributes:
        length: Pictures of the clip, known once its end was reached.
        repeats: How many times it was begun again.
        beginning_ns: How long the file's end and beginning again took so far, in nanoseconds.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._source = clip.open()
        self._read = 0
        self.length: int | None = None
        self.repeats = 0
        self.beginning_ns = 0

    def read(self) -> tuple[Frame, int]:
        """Return the next picture, and the clock before it was read.

        Beginning again takes a file's opening, which no camera has: that is before the clock.

        Returns:
            The picture, numbered on through repeats, and a reading of ``time.perf_counter_ns``.

        Raises:
            SourceError: If the clip cannot be read, or holds no picture.
        """
        started_ns = time.perf_counter_ns()
        frame = self._source.read()
        if frame is None:
            ended_ns = started_ns
            self._begin_again()
            started_ns = time.perf_counter_ns()
            self.beginning_ns += started_ns - ended_ns
            frame = self._source.read()
        if frame is None:
            raise self._empty()
        frame.image.flags.writeable = False  # as every source's in a stream
        frame = replace(frame, sequence=self._read)
        self._read += 1
        return frame, started_ns

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _begin_again(self) -> None:
        if self._read == 0:
            raise self._empty()
        if self.length is None:
            self.length = self._read
        self.repeats += 1
        self._source.close()
        self._source = self._clip.open()

    def _empty(self) -> SourceError:
        return SourceError(
            f"{self._clip.name} holds no picture; expected at least one; name another clip: "
            "--frames CLIP"
        )


def count_pictures(clip: Clip, most: int) -> int:
    """Return how many pictures a clip has, or ``most`` if it has more; reads them.

    Raises:
        SourceError: If it cannot be read, or has none.
    """
    reader = ClipReader(clip)
    try:
        count = 0
        while count < most and reader.repeats == 0:
            reader.read()
            count += reader.repeats == 0
        return count
    finally:
        reader.close()


def network_frames(clip: Clip, size_hw: tuple[int, int], count: int) -> np.ndarray:
    """Return a clip's first pictures at a network's size.

    Args:
        clip: What to read; from the start again where it is shorter.
        size_hw: Height and width of the network's input, in pixels.
        count: How many.

    Returns:
        uint8 (count, H, W, 3), BGR.

    Raises:
        SourceError: If it cannot be read, or has none.
    """
    frames = np.empty((count, *size_hw, 3), np.uint8)
    reader = ClipReader(clip)
    try:
        for canvas in frames:
            image = reader.read()[0].image
            letterbox_image(image, Letterbox.fit(image.shape[:2], size_hw), out=canvas)
    finally:
        reader.close()
    return frames


class PacedClip:
    """A clip as a live camera: picture ``n`` is due ``n`` frame times after the first.

    Pictures that a late reader missed are gone, as a camera's are.

    Args:
        clip: What to show.
        frame_rate: Pictures per second.
        seconds: How long.

    Attributes:
        missed: Pictures that nobody came for in time.
    """

    is_live = True
    stall_timeout_s: float | None = None

    def __init__(self, clip: Clip, frame_rate: float, seconds: float) -> None:
        self.name = clip.name
        self.frame_rate = frame_rate
        self.missed = 0
        self._reader = ClipReader(clip)
        self._pictures = max(1, round(seconds * frame_rate))
        self._number = self._sequence = 0
        self._started_ns: int | None = None

    def read(self) -> Frame | None:
        """Wait until the next picture is due; None after the last.

        ``captured_ns`` is when it was due: reading it counts for its age, and so does being late.
        Beginning a file again does not, as no camera does that: its clock stands still meanwhile.
        """
        now_ns = time.monotonic_ns()
        if self._started_ns is None:
            self._started_ns = now_ns
        newest = int((now_ns - self._started_ns) * self.frame_rate / 1e9)
        self.missed += max(0, min(newest, self._pictures) - self._number)
        self._number = max(self._number, newest)
        if self._number >= self._pictures:
            return None
        due_ns = self._started_ns + round(self._number * 1e9 / self.frame_rate)
        if due_ns > now_ns:
            time.sleep((due_ns - now_ns) / 1e9)
        stood_still_ns = self._reader.beginning_ns
        frame, _ = self._reader.read()
        stood_still_ns = self._reader.beginning_ns - stood_still_ns
        self._started_ns += stood_still_ns
        frame = replace(frame, sequence=self._sequence, captured_ns=due_ns + stood_still_ns)
        self._number += 1
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
