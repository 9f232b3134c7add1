"""Sinks that remember, dawdle or fail."""

from __future__ import annotations

import time

from runtime.errors import OutputError
from runtime.frames import FrameResult


class FakeSink:
    """Remembers what it got.

    Args:
        delay_s: How long each picture takes.
        fail_at: Number of the picture that raises, or None.
    """

    before_drawing = False

    def __init__(self, delay_s: float = 0.0, fail_at: int | None = None) -> None:
        self.results: list[FrameResult] = []
        self.ended = ""
        self._delay_s = delay_s
        self._fail_at = fail_at

    def publish(self, result: FrameResult) -> None:
        time.sleep(self._delay_s)
        if len(self.results) == self._fail_at:
            raise OutputError("fake sink is full")
        self.results.append(result)

    def close(self) -> None:
        self.ended = "closed"

    def discard(self) -> None:
        self.ended = self.ended or "discarded"
