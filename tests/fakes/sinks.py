"""Sinks that remember, dawdle or fail."""

from __future__ import annotations

import threading
import time

from runtime.errors import OutputError
from runtime.frames import FrameResult


class FakeSink:
    """Remembers what it got.

    Args:
        delay_s: How long each picture takes.
        fail_at: Number of the picture that raises, or None.
        error: What it raises.
    """

    needs_picture = True
    in_main_thread = False

    def __init__(
        self,
        delay_s: float = 0.0,
        fail_at: int | None = None,
        error: Exception | None = None,
        name: str = "fake",
    ) -> None:
        self.name = name
        self.results: list[FrameResult] = []
        self.threads: set[str] = set()
        self.ended = ""
        self._delay_s = delay_s
        self._fail_at = fail_at
        self._error = error or OutputError("fake sink is full")

    def publish(self, result: FrameResult) -> None:
        time.sleep(self._delay_s)
        if len(self.results) == self._fail_at:
            raise self._error
        self.threads.add(threading.current_thread().name)
        self.results.append(result)

    def close(self) -> None:
        self.ended = "closed"

    def discard(self) -> None:
        self.ended = self.ended or "discarded"
