"""What a running stream can say about itself at any moment: snapshots for people and programs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runtime.source_state import SourceState
from runtime.timing import StageSummary, StageTimes

RATE_OVER_S = 5.0  # frames per second are those of the latest seconds


@dataclass(frozen=True)
class CameraStatus:
    """One camera.

    Attributes:
        name: Unique within the stream.
        state: What its source is doing.
        problem: What went wrong last, one line without secrets; empty while it is live.
        captured: Pictures received.
        dropped: Of these, lost because the network was busy.
        skipped: Of these, left out on purpose, by ``--drop every-N``.
        results: Pictures that went through the network.
        detections: Boxes on them.
        reconnects: How often the source was lost and came back.
        frames_per_second: Results per second, over the latest seconds.
        age_ms: Of the newest result, from capture until it was finished; None before the first.
        last_result_ns: Monotonic clock when that was; None before the first.
        line_counts: Objects that crossed each line, "in" and "out"; empty without tracking.
        zone_counts: Objects in each zone at the newest result; empty without tracking.
    """

    name: str
    state: SourceState
    problem: str = ""
    captured: int = 0
    dropped: int = 0
    skipped: int = 0
    results: int = 0
    detections: int = 0
    reconnects: int = 0
    frames_per_second: float = 0.0
    age_ms: float | None = None
    last_result_ns: int | None = None
    line_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    zone_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SinkStatus:
    """One sink.

    Attributes:
        name: The option that asks for it.
        published: Results that it took.
        dropped: Results that it had no time for.
        problem: Why it was given up; empty while it works.
        publish_ms: How long one result took it; None before the first.
    """

    name: str
    published: int = 0
    dropped: int = 0
    problem: str = ""
    publish_ms: StageSummary | None = None


@dataclass(frozen=True)
class StreamStatus:
    """A whole stream.

    Attributes:
        model: Name of the network in the artifact's contract.
        precision: Of the artifact.
        backend: What runs it.
        score: The lowest score that is shown now.
        seconds: Since the start.
        cameras: In the order in which they were asked for.
        sinks: In the order in which they were opened.
        stages: Times by stage over all cameras; see ``StreamSummary``.
    """

    model: str
    precision: str
    backend: str
    score: float
    seconds: float
    cameras: tuple[CameraStatus, ...]
    sinks: tuple[SinkStatus, ...]
    stages: Mapping[str, StageSummary]


@dataclass(frozen=True)
class StreamSummary:
    """What a finished stream did.

    Attributes:
        frames: Results, over all cameras.
        dropped: Pictures that cameras delivered and the network had no time for.
        detections: Boxes found, over all pictures.
        seconds: From the start of capture to the last result published.
        stages: Times by stage: ``capture`` (waiting for the source), ``letterbox``, ``network``
            (of the batch that the picture was in), ``postprocess``, ``track`` where it is asked
            for, and ``age``, from capture to the finished result.
        cameras: Each camera at the end.
        sinks: Each sink at the end.
    """

    frames: int
    dropped: int
    detections: int
    seconds: float
    stages: dict[str, StageSummary]
    cameras: tuple[CameraStatus, ...]
    sinks: tuple[SinkStatus, ...]

    @classmethod
    def of(cls, status: StreamStatus) -> StreamSummary:
        """Return the summary of a stream whose status at its end this is."""
        return cls(
            frames=sum(camera.results for camera in status.cameras),
            dropped=sum(camera.dropped for camera in status.cameras),
            detections=sum(camera.detections for camera in status.cameras),
            seconds=status.seconds,
            stages=dict(status.stages),
            cameras=status.cameras,
            sinks=status.sinks,
        )

    @property
    def frames_per_second(self) -> float:
        """Results per second of wall time."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


class StreamControl(Protocol):
    """What a running stream offers to those who watch it: pages, metrics, a watchdog.

    Every method may be called from any thread.
    """

    def status(self) -> StreamStatus:
        """Return a snapshot of now."""
        ...

    def set_score(self, score: float) -> None:
        """Show boxes from this score on, in [0, 1], beginning with the next picture."""
        ...


class RateMeter:
    """Events per second over the latest seconds. Safe to use from several threads."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def tick(self, now_s: float | None = None) -> None:
        """Count one event."""
        now = time.monotonic() if now_s is None else now_s
        with self._lock:
            self._times.append(now)
            self._forget(now)

    def per_second(self, now_s: float | None = None) -> float:
        """Return the rate; it falls to 0 when nothing comes any more."""
        now = time.monotonic() if now_s is None else now_s
        with self._lock:
            self._forget(now)
            if len(self._times) < 2:
                return 0.0
            # From the first event until now, unless the next is not due yet.
            span = max(now - self._times[0], self._times[-1] - self._times[0])
            gap = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            is_due = now - self._times[-1] > gap
            if not is_due:
                span = self._times[-1] - self._times[0]
            return (len(self._times) - 1) / span if span > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > self._over_s:
            self._times.popleft()


class SharedTimes:
    """Times per stage that one thread records and others read."""

    def __init__(self) -> None:
        self._times = StageTimes()
        self._lock = threading.Lock()

    def record(self, times_ms: Mapping[str, float]) -> None:
        """Add one frame's times."""
        with self._lock:
            self._times.record(times_ms)

    def summary(self) -> dict[str, StageSummary]:
        """Return every stage's figures."""
        with self._lock:
            return self._times.summary()
