"""Keeps one source delivering: opens it, reads it, and opens it again when it fails."""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.source_state import Backoff, BackoffOptions, SourceState
from runtime.sources import Source, SourceSpec

# A picture is late, and its camera shown as stalled, after so many frame times, a second at least.
STALLED_AFTER_FRAMES = 10
STALLED_AFTER_S = 1.0
# A camera that stayed for so long is no longer a failing one: its next failure is a first one.
STEADY_AFTER_S = 5.0
# The noise of a sensor changes some pixel of every picture: the same one for so long is an old one.
UNCHANGED_NOTICE_S = 10.0
SAMPLE_STEP_PX = 16  # every so many pixels are compared

Deliver = Callable[[Frame, float], bool]
Report = Callable[[str], None]


@dataclass(frozen=True)
class ReaderOptions:
    """How a source is kept alive.

    Attributes:
        every: Hand on one of so many pictures; the others count as skipped.
        backoff: Waits before it is opened again.
        wait_for_first: Whether a live source that does not open at the start is tried again.
        give_up_after_s: A live source that is away for longer is an error; None for never.
    """

    every: int = 1
    backoff: BackoffOptions = field(default_factory=BackoffOptions)
    wait_for_first: bool = False
    give_up_after_s: float | None = None


class SourceReader:
    """Reads one source in a thread of its own; everything but ``run`` may be called from any.

    Args:
        spec: How to open the source.
        options: How to keep it alive.
        deliver: Takes each picture and how long the source took for it in milliseconds; returns
            whether more are wanted.
        report: Takes a line for the user whenever the source is lost, comes back or changes.
        source: The source, if it is open already.

    Attributes:
        captured: Pictures received.
        skipped: Of these, left out by ``options.every``.
        reconnects: How often the source came back.
        problem: What went wrong last; empty while all is well.
    """

    def __init__(
        self,
        spec: SourceSpec,
        options: ReaderOptions,
        deliver: Deliver,
        report: Report,
        source: Source | None = None,
    ) -> None:
        self.captured = self.skipped = self.reconnects = 0
        self.problem = ""
        self._spec = spec
        self._options = options
        self._deliver = deliver
        self._report = report
        self._source = source
        self._backoff = Backoff(options.backoff)
        self._state = SourceState.CONNECTING
        self._stop = threading.Event()
        self._opened_at: float | None = None  # of this connection, its first picture
        self._was_live = False
        self._reading_since: float | None = None  # since when the source is asked for a picture
        self._lost_at: float | None = None  # since when there has been none
        self._stalled_after_s = STALLED_AFTER_S
        self._sequence = 0
        self._changes = _ChangeWatch(spec.name, report)

    @property
    def state(self) -> SourceState:
        """What the source is doing now; also true while it hangs in a driver."""
        state, since = self._state, self._reading_since
        if state is not SourceState.LIVE or not self._spec.is_live or since is None:
            return state
        late = time.monotonic() - since > self._stalled_after_s
        return SourceState.STALLED if late else state

    def stop(self) -> None:
        """Ask ``run`` to return: at once from a wait, else after the picture it is reading."""
        self._stop.set()

    def run(self) -> None:
        """Read until the source ends or ``stop``; a live source that fails is opened again.

        Raises:
            SourceError: If a file is broken, or a live source cannot be opened at the start or
                stays away for too long.
        """
        try:
            while not self._stop.is_set():
                try:
                    self._read_one_connection()
                    return
                except SourceError as error:
                    self._lose(error)
        finally:
            if self._source is not None:  # stopped before it was read
                self._source.close()
            self._state = SourceState.ENDED

    def _read_one_connection(self) -> None:
        self._state = SourceState.CONNECTING
        source, self._source = self._source or self._spec.open(), None
        with contextlib.closing(source):
            self._opened_at = None
            frame_s = 1.0 / source.frame_rate
            self._stalled_after_s = max(STALLED_AFTER_S, STALLED_AFTER_FRAMES * frame_s)
            first = self._sequence  # of this connection
            while not self._stop.is_set():
                started_ns = time.perf_counter_ns()
                self._reading_since = time.monotonic()
                frame = source.read()
                self._reading_since = None  # how long the picture is waited with is no stall
                if frame is None:
                    return
                self._arrive()
                frame.image.flags.writeable = False  # shared from here on
                capture_ms = (time.perf_counter_ns() - started_ns) / 1e6
                frame = replace(frame, sequence=first + frame.sequence)
                self._sequence = frame.sequence + 1
                if not self._hand_on(frame, capture_ms):
                    return

    def _hand_on(self, frame: Frame, capture_ms: float) -> bool:
        """Pass on every n-th picture; returns whether more are wanted."""
        if self._spec.is_live:
            self._changes.look_at(frame)
        self.captured += 1
        if (self.captured - 1) % self._options.every:
            self.skipped += 1
            return True
        return self._deliver(frame, capture_ms)

    def _arrive(self) -> None:
        """Note that a picture came; the first of a connection ends what was wrong."""
        now = time.monotonic()
        if self._opened_at is None:
            self._opened_at = now
            if self._lost_at is not None:
                self.reconnects += self._was_live
                self._report(f"{self._spec.name} is back after {now - self._lost_at:.1f} s")
            self._lost_at, self.problem = None, ""
            self._was_live, self._state = True, SourceState.LIVE
        elif now - self._opened_at > STEADY_AFTER_S:
            self._backoff.reset()

    def _lose(self, error: SourceError) -> None:
        """Wait before the next attempt, or pass the error on where there is none to make."""
        if not self._spec.is_live or not (self._was_live or self._options.wait_for_first):
            raise error
        now = time.monotonic()
        is_first = self._lost_at is None
        if self._lost_at is None:
            self._lost_at = now
        limit_s = self._options.give_up_after_s
        if limit_s is not None and now - self._lost_at >= limit_s:
            raise SourceError(f"{error}; --give-up-after: it was away for {limit_s:g} s") from None
        wait_s = self._backoff.next_wait_s()
        self.problem = " ".join(str(error).split())
        self._state = SourceState.RETRYING
        # The attempts that follow would fill a log; whoever waits for a camera knows it is away.
        if is_first and self._was_live:
            self._report(f"{self.problem}; trying again from {wait_s:.1f} s on")
        if limit_s is not None:
            wait_s = min(wait_s, self._lost_at + limit_s - now)
        self._stop.wait(wait_s)


class _ChangeWatch:
    """Notices a new picture size, and a picture that never changes."""

    def __init__(self, name: str, report: Report) -> None:
        self._name = name
        self._report = report
        self._hw: tuple[int, ...] | None = None
        self._digest = 0
        self._changed_at = 0.0
        self._noticed = False

    def look_at(self, frame: Frame) -> None:
        """Compare a picture with the one before, by a sample of its pixels."""
        hw, now = frame.image.shape[:2], time.monotonic()
        if self._hw not in (None, hw):
            (old_h, old_w), (new_h, new_w) = self._hw or hw, hw
            self._report(f"{self._name} changed from {old_w}x{old_h} to {new_w}x{new_h} pixels")
        self._hw = hw
        sample = frame.image[::SAMPLE_STEP_PX, ::SAMPLE_STEP_PX]
        digest = zlib.crc32(np.ascontiguousarray(sample).data)
        if digest != self._digest:
            self._digest, self._changed_at, self._noticed = digest, now, False
        elif now - self._changed_at > UNCHANGED_NOTICE_S and not self._noticed:
            self._noticed = True
            self._report(
                f"{self._name} has delivered the same picture for {UNCHANGED_NOTICE_S:g} s; if "
                "the scene moves, the camera is frozen: restart it"
            )
