"""A camera made of moving shapes, to try everything without one: ``--camera test://``."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from runtime.errors import UsageError
from runtime.frames import Frame
from runtime.options_sources import STALL_TIMEOUT_S
from runtime.pattern_picture import LEAST_WIDTH_PX, PatternPicture
from runtime.sources import DEFAULT_FRAME_RATE

DEFAULT_SIZE_HW = (480, 640)
# Of one that is read as fast as it can be: what a recording of it states.
FREE_RUNNING_RATE = 30.0
AS_FAST_AS_READ = "max"
ADDRESS = re.compile(
    r"test://(?:(?P<width>\d{1,5})x(?P<height>\d{1,5}))?(?:@(?P<rate>\d{1,4}(?:\.\d+)?|max))?"
    r"(?:\?frames=(?P<frames>\d{1,12}))?"
)
HELP = "test://, test://1280x720@30, test://640x480@max or test://?frames=300"


@dataclass(frozen=True)
class PatternOptions:
    """What a test pattern delivers.

    Attributes:
        size_hw: Height and width of its pictures.
        frame_rate: Pictures per second; None for as many as are read, none of them lost.
        frames: How many until it ends; None for never.
    """

    size_hw: tuple[int, int] = DEFAULT_SIZE_HW
    frame_rate: float | None = DEFAULT_FRAME_RATE
    frames: int | None = None


def parse_test_address(
    text: str, size_hw: tuple[int, int] | None = None, frame_rate: float | None = None
) -> PatternOptions:
    """Read ``test://WIDTHxHEIGHT@RATE?frames=N``, each part of which may be left out.

    Args:
        text: The address; the rate may be "max", for as fast as it is read.
        size_hw: Height and width where it names none; None for 640x480.
        frame_rate: Pictures per second where it names none; None for 30.

    Raises:
        UsageError: If it is malformed, or asks for what cannot be.
    """
    match = ADDRESS.fullmatch(text)
    if match is None:
        raise UsageError(f"--camera got {text!r}; expected {HELP}")
    if match["width"] is not None:
        size_hw = (int(match["height"]), int(match["width"]))
    size_hw = size_hw or DEFAULT_SIZE_HW
    rate = frame_rate or DEFAULT_FRAME_RATE
    if match["rate"] not in (None, AS_FAST_AS_READ):
        rate = float(match["rate"])
    if rate <= 0 or size_hw[0] < 1 or size_hw[1] < LEAST_WIDTH_PX:
        raise UsageError(
            f"--camera got {text!r}; expected a rate above 0 and pictures of at least "
            f"{LEAST_WIDTH_PX}x1 pixels"
        )
    return PatternOptions(
        size_hw,
        None if match["rate"] == AS_FAST_AS_READ else rate,
        None if match["frames"] is None else int(match["frames"]),
    )


class PatternSource:
    """Delivers numbered pictures of moving shapes; what they show depends on their number alone.

    With a rate it is live, like a camera: picture ``n`` is due ``n`` frame times after the first,
    on the monotonic clock, and those that a late reader missed are gone. Without one it delivers
    every picture, as fast as it is read. ``runtime.pattern_picture.read_frame_number`` tells which.

    Args:
        options: Size, rate and length.
        name: For messages and records.
    """

    stall_timeout_s: float | None

    def __init__(
        self, options: PatternOptions = PatternOptions(), name: str = "test pattern"
    ) -> None:
        self.name = name
        self.is_live = options.frame_rate is not None
        self.frame_rate = options.frame_rate or FREE_RUNNING_RATE
        self.stall_timeout_s = max(STALL_TIMEOUT_S, 2.0 / self.frame_rate) if self.is_live else None
        self._frames = options.frames
        self._picture = PatternPicture(options.size_hw)
        self._started_ns: int | None = None
        self._number = 0  # of the next picture that was not delivered yet
        self._sequence = 0
        self._is_open = True

    def read(self) -> Frame | None:
        """Wait until the next picture is due; None after the last.

        ``captured_ns`` is the moment at which it was due, so that a late reader makes it older.
        """
        captured_ns = self._wait() if self.is_live else time.monotonic_ns()
        if not self._is_open or (self._frames is not None and self._number >= self._frames):
            return None
        image = self._picture.render(self._number)
        frame = Frame(image, self.name, self._sequence, captured_ns)
        self._number += 1
        self._sequence += 1
        return frame

    def _wait(self) -> int:
        """Wait for the next picture, or skip to the newest; returns when it was due."""
        now_ns = time.monotonic_ns()
        if self._started_ns is None:
            self._started_ns = now_ns
        elapsed_ns = now_ns - self._started_ns
        self._number = max(self._number, int(elapsed_ns * self.frame_rate / 1e9))
        # Counted from the start, so that no error adds up.
        due_ns = self._started_ns + round(self._number * 1e9 / self.frame_rate)
        if due_ns > now_ns:
            time.sleep((due_ns - now_ns) / 1e9)
        return due_ns

    def close(self) -> None:
        """Deliver no more."""
        self._is_open = False
