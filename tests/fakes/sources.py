"""Cameras that misbehave on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from runtime.errors import SourceError
from runtime.frames import Frame


class FakeCapture:
    """Stands in for ``cv2.VideoCapture``.

    Args:
        images: What successive reads deliver; None is a failed read.
        opened: Whether the device opens.
        frame_rate: What it states.
        gives: What it states for a property, whatever it was asked for.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray | None] = (),
        opened: bool = True,
        frame_rate: float = 30.0,
        gives: Mapping[int, float] | None = None,
    ) -> None:
        self._images = list(images)
        self._opened = opened
        self._values = {cv2.CAP_PROP_FPS: frame_rate}
        self._gives = dict(gives or {})
        self._grabbed: np.ndarray | None = None
        self.asked: list[tuple[int, float]] = []  # in order
        self.released = False

    def isOpened(self) -> bool:
        return self._opened

    def get(self, wanted: int) -> float:
        return self._gives.get(wanted, self._values.get(wanted, 0.0))

    def set(self, wanted: int, value: float) -> bool:
        self.asked.append((wanted, value))
        self._values[wanted] = value
        return self.get(wanted) == value

    def grab(self) -> bool:
        self._grabbed = self._images.pop(0) if self._images else None
        return self._grabbed is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return self._grabbed is not None, self._grabbed

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.grab()
        return self.retrieve()

    def release(self) -> None:
        self.released = True


class FakeSource:
    """Delivers given pictures, then ends, fails or falls silent.

    Args:
        images: What it delivers; each read gets its own copy.
        is_live: Whether it behaves like a camera.
        interval_s: Pause before each picture.
        ending: "end", "fail" (a SourceError) or "hang" (a read that waits for ``let_go``).
        stall_timeout_s: As a source states it.
    """

    name = "fake camera"
    frame_rate = 30.0

    def __init__(
        self,
        images: Sequence[np.ndarray],
        is_live: bool = False,
        interval_s: float = 0.0,
        ending: str = "end",
        stall_timeout_s: float | None = None,
    ) -> None:
        self.is_live = is_live
        self.stall_timeout_s = stall_timeout_s
        self.closed = False
        self.reads = 0
        self.let_go = threading.Event()  # ends a read that hangs
        self._images = images
        self._interval_s = interval_s
        self._ending = ending

    def read(self) -> Frame | None:
        if self.reads == len(self._images):
            if self._ending == "hang":
                self.let_go.wait()
            if self._ending == "fail":
                raise SourceError("fake camera was unplugged")
            return None
        time.sleep(self._interval_s)
        image = self._images[self.reads].copy()
        frame = Frame(image, self.name, self.reads, time.monotonic_ns())
        self.reads += 1
        return frame

    def close(self) -> None:
        self.closed = True
