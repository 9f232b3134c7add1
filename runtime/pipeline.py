"""Capture, inference and presentation, each in its own thread, joined by bounded buffers.

Inference does nothing but run the network, the slowest stage: capture brings a picture to the
network's size, presentation turns what the network found into boxes. Presentation runs in the
calling thread, since window systems insist on the main one. Pictures are handed over, never
copied. The first error stops all three and reaches the caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.backend_base import Backend, Outputs, PreparedFrame
from runtime.drawing import draw_detections
from runtime.errors import SourceError
from runtime.frame_buffer import DropPolicy, FrameBuffer
from runtime.frames import Frame, FrameResult
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.sinks import Sink
from runtime.sources import Source, stall_message
from runtime.timing import StageSummary, StageTimes

# Enough that no stage waits for another's usual jitter; more would only make a live frame older.
CAPACITY = {DropPolicy.BLOCK: 4, DropPolicy.LATEST: 1}
JOIN_TIMEOUT_S = 1.0  # a camera driver can hang in a read: leave it behind rather than hang too


@dataclass(frozen=True)
class StreamSummary:
    """What a finished stream did.

    Attributes:
        frames: Pictures presented.
        dropped: Pictures that a live source delivered and nobody had time for.
        detections: Boxes found, over all pictures.
        seconds: From the start of capture to the last presentation.
        stages: Times by stage: ``capture`` (waiting for the source), ``letterbox``, ``network``,
            ``postprocess``, ``draw``, ``publish`` (all sinks), and ``age``, from capture to drawn.
    """

    frames: int
    dropped: int
    detections: int
    seconds: float
    stages: dict[str, StageSummary]

    @property
    def frames_per_second(self) -> float:
        """Pictures presented per second of wall time."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class _Captured:
    """A picture, and the same in the form that the backend takes."""

    frame: Frame
    prepared: PreparedFrame
    times_ms: dict[str, float]


@dataclass(frozen=True)
class _Inferred:
    """A picture and what the network gave for it."""

    frame: Frame
    letterbox: Letterbox
    outputs: Outputs
    times_ms: dict[str, float]


class Pipeline:
    """Moves pictures from a source through a backend to sinks. Runs once.

    Args:
        source: Closed at the end.
        backend: Open; stays open.
        sinks: Get every result; stay open.
        options: What to keep of the network's boxes.
        max_frames: Stop after so many pictures; None for no limit.
    """

    def __init__(
        self,
        source: Source,
        backend: Backend,
        sinks: Sequence[Sink],
        options: PostprocessOptions,
        max_frames: int | None = None,
    ) -> None:
        self._source = source
        self._backend = backend
        self._plain_sinks = [sink for sink in sinks if sink.before_drawing]
        self._drawn_sinks = [sink for sink in sinks if not sink.before_drawing]
        self._options = options
        self._max_frames = max_frames
        policy = DropPolicy.LATEST if source.is_live else DropPolicy.BLOCK
        self._frames: FrameBuffer[_Captured] = FrameBuffer(CAPACITY[policy], policy)
        # Pictures are dropped in one place only, before the network's work was spent on them.
        self._results: FrameBuffer[_Inferred] = FrameBuffer(CAPACITY[policy], DropPolicy.BLOCK)
        self._stop_requested = False
        self._errors: list[BaseException] = []

    @property
    def dropped(self) -> int:
        """Pictures lost so far because the network was busy."""
        return self._frames.dropped

    def request_stop(self) -> None:
        """End after the picture that the network is at; those still waiting for it are dropped.

        May be called from a signal handler or any thread.
        """
        self._stop_requested = True  # no lock: a handler may interrupt its holder

    def run(self, on_frame: Callable[[FrameResult], None] | None = None) -> StreamSummary:
        """Stream until the source ends, ``max_frames`` are done, or ``request_stop``.

        Args:
            on_frame: Called after each presentation, in the calling thread.

        Raises:
            CornerRTError: The first error of any thread, after what was under way was presented.
        """
        started_ns = time.perf_counter_ns()
        threads = [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for name, work in (("capture", self._capture), ("inference", self._infer))
        ]
        for thread in threads:
            thread.start()
        try:
            times, frames, detections = self._present(on_frame)
            seconds = (time.perf_counter_ns() - started_ns) / 1e9
        finally:
            self.request_stop()
            self._results.cancel()
            for thread in threads:
                thread.join(JOIN_TIMEOUT_S)
        if self._errors:
            raise self._errors[0]
        return StreamSummary(frames, self.dropped, detections, seconds, times.summary())

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work and keep its error for the caller."""
        try:
            work()
        except BaseException as error:
            self._errors.append(error)

    def _capture(self) -> None:
        try:
            while not self._stop_requested:
                started_ns = time.perf_counter_ns()
                frame = self._source.read()
                if frame is None:
                    return
                if not self._frames.put(self._prepare(frame, _milliseconds_since(started_ns))):
                    return
        finally:
            self._frames.close()
            self._source.close()

    def _prepare(self, frame: Frame, capture_ms: float) -> _Captured:
        """Bring a picture to the network's size, or on its way to where that is done."""
        started_ns = time.perf_counter_ns()
        prepared = self._backend.prepare(frame.image)
        times_ms = {"capture": capture_ms, "letterbox": _milliseconds_since(started_ns)}
        return _Captured(frame, prepared, times_ms)

    def _infer(self) -> None:
        frames = 0
        try:
            while self._max_frames is None or frames < self._max_frames:
                captured = self._next_frame(frames)
                if captured is None or self._stop_requested:  # what waits may be seconds of work
                    return
                outputs = self._backend.infer_prepared(captured.prepared)
                captured.times_ms["network"] = self._backend.network_ms
                letterbox = captured.prepared.letterbox
                inferred = _Inferred(captured.frame, letterbox, outputs, captured.times_ms)
                if not self._results.put(inferred):
                    return
                frames += 1
        finally:
            self._frames.cancel()
            self._results.close()

    def _next_frame(self, frames: int) -> _Captured | None:
        timeout_s = self._source.stall_timeout_s
        try:
            return self._frames.get(timeout_s)
        except TimeoutError:
            message = stall_message(self._source.name, timeout_s or 0.0, frames + self.dropped)
            raise SourceError(message) from None

    def _present(
        self, on_frame: Callable[[FrameResult], None] | None
    ) -> tuple[StageTimes, int, int]:
        times, frames, detections = StageTimes(), 0, 0
        names = self._backend.contract.class_names
        while (inferred := self._results.get()) is not None:
            result = self._detect(inferred)
            plain_ms = _publish(self._plain_sinks, result)
            started_ns = time.perf_counter_ns()
            draw_detections(result.frame.image, result.detections, names)
            result.times_ms["draw"] = _milliseconds_since(started_ns)
            result.times_ms["age"] = (time.monotonic_ns() - result.frame.captured_ns) / 1e6
            result.times_ms["publish"] = plain_ms + _publish(self._drawn_sinks, result)
            times.record(result.times_ms)
            frames += 1
            detections += len(result.detections)
            if on_frame is not None:
                on_frame(result)
        return times, frames, detections

    def _detect(self, inferred: _Inferred) -> FrameResult:
        """Turn the network's outputs into boxes on the picture."""
        started_ns = time.perf_counter_ns()
        detections = detections_from_raw(inferred.outputs, inferred.letterbox, self._options)
        inferred.times_ms["postprocess"] = _milliseconds_since(started_ns)
        return FrameResult(inferred.frame, detections, inferred.times_ms)


def _publish(sinks: Sequence[Sink], result: FrameResult) -> float:
    """Hand a result to some sinks; returns how long they took, in milliseconds."""
    started_ns = time.perf_counter_ns()
    for sink in sinks:
        sink.publish(result)
    return _milliseconds_since(started_ns)


def _milliseconds_since(started_ns: int) -> float:
    return (time.perf_counter_ns() - started_ns) / 1e6
