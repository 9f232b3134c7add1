"""All sinks of a stream that have threads of their own, and their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from runtime.frames import FrameResult
from runtime.sink_worker import SinkWorker

# A disk or a network can hang; systemd would kill the program 90 s after it asked it to end.
SINK_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.1


class SinkGroup:
    """Starts, feeds and ends sinks.

    Args:
        workers: One for each sink.
        is_live: Whether there is a camera in the stream: then nobody waits for long at its end.
    """

    def __init__(self, workers: Sequence[SinkWorker], is_live: bool) -> None:
        self._workers = tuple(workers)
        self._is_live = is_live

    def start(self) -> None:
        """Start all threads."""
        for worker in self._workers:
            worker.start()

    def offer(self, result: FrameResult) -> None:
        """Pass a result on to all; waits for those that let the stream wait."""
        for worker in self._workers:
            worker.offer(result)

    def leave_stuck_behind(self) -> None:
        """Give up those that hang, so that a stream that waits for them can end."""
        for worker in self._workers:
            if not worker.is_left_behind and worker.is_stuck(SINK_TIMEOUT_S):
                worker.leave_behind(SINK_TIMEOUT_S)

    def end(self, is_stop_requested: Callable[[], bool]) -> None:
        """Wait until all have published what waits for them; leave behind those that hang.

        Of a file everything is wanted: its sinks may take as long as they like, until somebody
        asks to stop.

        Args:
            is_stop_requested: Whether somebody did; may change meanwhile.
        """
        for worker in self._workers:
            worker.finish()
        deadline = time.monotonic() + SINK_TIMEOUT_S
        for worker in self._workers:
            while not (worker.is_left_behind or worker.join(LOOK_EVERY_S)):
                if self._is_live and time.monotonic() > deadline:
                    worker.leave_behind(SINK_TIMEOUT_S)
                elif is_stop_requested():
                    self.leave_stuck_behind()
