"""What a camera, a video and a folder of images have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runtime.frames import Frame

DEFAULT_FRAME_RATE = 30.0  # of most cameras, where one states none or nonsense


class Source(Protocol):
    """Delivers pictures one by one. Read from one thread, close from the same.

    Attributes:
        name: For messages and records, such as "camera 0" or "clip.mp4".
        is_live: Whether pictures arrive at their own pace and old ones are worthless. A live
            source may lose pictures to keep up; any other is read completely.
        frame_rate: Pictures per second, for a recording.
        stall_timeout_s: Longest silence that is not yet an error; None for no limit.
    """

    name: str
    is_live: bool
    frame_rate: float
    stall_timeout_s: float | None

    def read(self) -> Frame | None:
        """Wait for the next picture; None at the end.

        Raises:
            SourceError: If the source is broken, cut short or no longer delivers.
        """
        ...

    def close(self) -> None:
        """Release the device or file; may be called again."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """A source that can be opened, and opened again after it failed.

    Attributes:
        name: Of the camera, unique within a stream, without secrets.
        is_live: As of the source that ``open`` gives; only live sources are opened again.
        open: Connects and returns the source; raises ``SourceError`` if it cannot. Not always
            called in the thread that will read.
    """

    name: str
    is_live: bool
    open: Callable[[], Source]


def stall_message(name: str, timeout_s: float, frames: int) -> str:
    """Say that a live source has been silent for too long."""
    return (
        f"{name} delivered no picture for {timeout_s:g} s after {frames} pictures; expected a "
        "steady stream; check its cable and power, and that no other program uses it"
    )
