"""Gives a sink a queue and a thread of its own, so that a slow or broken one delays nobody."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from runtime.errors import OutputError
from runtime.frame_buffer import DropPolicy, FrameBuffer
from runtime.frames import FrameResult
from runtime.sinks import Sink
from runtime.stream_status import SharedTimes, SinkStatus
from runtime.thread_priority import give_way

# Pictures take megabytes each; without them, a second or so of several cameras may wait.
CAPACITY_WITH_PICTURES = 4
CAPACITY_WITHOUT = 256
# Whoever looks on must not slow down what is looked at; what is kept has no lower rank.
SHOWING_SINKS = frozenset({"serve"})


class SinkWorker:
    """Feeds one sink from a thread.

    Under ``LATEST`` the sink loses the oldest results that it has no time for; under ``BLOCK`` the
    stream waits for it. On a live stream a failure ends this sink alone: it is closed, so that what
    it wrote can be used, and ``report`` is told. Otherwise it goes to ``fail``: of a file,
    everything is wanted or nothing.

    Args:
        sink: Used by this worker only, until its thread has ended.
        policy: What a full queue does.
        is_live: Whether there is a camera in the stream.
        report: Takes a line for the user.
        fail: Takes an error that must end the stream; called in any thread.

    Attributes:
        has_failed: Whether the sink was given up.
        is_left_behind: Whether its thread was given up, too: it hangs in the sink.
    """

    def __init__(
        self,
        sink: Sink,
        policy: DropPolicy,
        is_live: bool,
        report: Callable[[str], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.sink = sink
        self.has_failed = self.is_left_behind = False
        self._is_live = is_live
        self._report = report
        self._fail = fail
        capacity = CAPACITY_WITH_PICTURES if sink.needs_picture else CAPACITY_WITHOUT
        self._waiting: FrameBuffer[FrameResult] = FrameBuffer(capacity, policy)
        self._times = SharedTimes()
        self._published = 0
        self._busy_since: float | None = None
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, result: FrameResult) -> None:
        """Pass a result on; waits under ``BLOCK`` while the queue is full."""
        if not self.has_failed:
            wanted = result if self.sink.needs_picture else result.without_picture()
            self._waiting.put(wanted)

    def finish(self) -> None:
        """Say that no more results come; what waits is still published."""
        self._waiting.close()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; returns whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def status(self) -> SinkStatus:
        """Return what the sink did so far."""
        times = self._times.summary().get("publish")
        dropped = self._waiting.dropped
        return SinkStatus(self.sink.name, self._published, dropped, self._problem, times)

    def _run(self) -> None:
        if self.sink.name in SHOWING_SINKS:
            give_way()
        try:
            while (result := self._waiting.get()) is not None:
                self.publish(result)
        except (OSError, OutputError) as error:
            self._give_up(error)
        except BaseException as error:  # a mistake of ours
            self._fail(error)
        finally:
            self._waiting.cancel()

    def publish(self, result: FrameResult) -> None:
        """Hand a result to the sink, here and now; for a sink that runs in the main thread."""
        started_ns = time.perf_counter_ns()
        self._busy_since = time.monotonic()
        self.sink.publish(result)
        self._busy_since = None
        self._times.record({"publish": (time.perf_counter_ns() - started_ns) / 1e6})
        self._published += 1

    def is_stuck(self, longest_s: float) -> bool:
        """Say whether the sink has been at one and the same result for longer than this."""
        since = self._busy_since
        return (
            self._thread.is_alive() and since is not None and time.monotonic() - since > longest_s
        )

    def leave_behind(self, timeout_s: float) -> None:
        """Give up a sink that hangs, and its thread; whoever waits for it in ``offer`` goes on.

        Args:
            timeout_s: How long it was waited for, for the message.
        """
        self.has_failed = self.is_left_behind = True
        self._waiting.cancel()
        self._problem = (
            f"did not end within {timeout_s:g} s; expected its disk or network to answer; what it "
            "wrote last may be lost"
        )
        line = f"--{self.sink.name} {self._problem}"
        if self._is_live:
            self._report(line)
        else:
            self._fail(OutputError(line))

    def close(self) -> None:
        """Finish the sink, once its thread has ended; one that was given up is left as it is.

        Raises:
            OSError: If it cannot be finished and there is no camera in the stream; of a camera's
                stream, ``report`` and ``status`` say so.
            OutputError: The same.
        """
        if self.has_failed:
            return
        try:
            self.sink.close()
        except (OSError, OutputError) as error:
            if not self._is_live:
                raise
            self.has_failed = True
            self._problem = problem_text(error)
            self._report(f"--{self.sink.name} could not be finished: {self._problem}")

    def _give_up(self, error: OSError | OutputError) -> None:
        self.has_failed = True
        self._problem = problem_text(error)
        if not self._is_live:
            self._fail(error)
            return
        self._report(
            f"--{self.sink.name} failed and is given up, the stream goes on: {self._problem}"
        )
        with contextlib.suppress(OSError, OutputError):  # what made it fail may do so again
            self.sink.close()


def problem_text(error: OSError | OutputError) -> str:
    """Return what went wrong, in one line."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return " ".join(str(error).split())
