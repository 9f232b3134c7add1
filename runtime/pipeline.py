"""Cameras, network and sinks, each in threads of their own, joined by bounded queues.

    capture (a thread per camera) -> inference -> results -> sinks (a thread each)

Inference does nothing but run the network, the slowest stage: capture brings a picture to the
network's size, the results thread turns what the network found into boxes. Pictures are handed
over, never copied. Where pictures must be lost, they are lost before the network's work was spent
on them; a sink that is slow or broken costs a live stream nothing but this sink. The first fatal
error stops all threads and reaches the caller.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from runtime.backend_base import Backend
from runtime.camera_progress import CameraProgress
from runtime.camera_queues import CameraQueues
from runtime.flow import CameraInput, FlowOptions
from runtime.frame_buffer import DropPolicy, FrameBuffer
from runtime.frames import Frame, FrameResult
from runtime.pipeline_stages import (
    Captured,
    InferenceStage,
    Inferred,
    ResultStage,
    prepare_frame,
)
from runtime.sink_group import SinkGroup
from runtime.sink_worker import SinkWorker
from runtime.sinks import Sink
from runtime.source_reader import Report, SourceReader
from runtime.stream_status import SharedTimes, SinkStatus, StreamStatus, StreamSummary

RESULTS_WAITING = 4  # between the network and the sinks
TICK_S = 0.1  # how often the calling thread looks up when nothing happens
DRAIN_TIMEOUT_S = 10.0  # for what other cameras had delivered when one failed for good
JOIN_TIMEOUT_S = 1.0  # a camera driver can hang in a read: leave it behind rather than hang too


class Pipeline:
    """Moves pictures from cameras through a backend to sinks. Runs once.

    Args:
        cameras: Their sources are closed at the end.
        backend: Open; stays open.
        sinks: Get every result; stay open, except one that fails on a live stream.
        options: How to work.
        report: Takes a line for the user when a camera or a sink fails or comes back; called in
            any thread.
    """

    def __init__(
        self,
        cameras: Sequence[CameraInput],
        backend: Backend,
        sinks: Sequence[Sink],
        options: FlowOptions,
        report: Report = print,
    ) -> None:
        self._cameras = tuple(cameras)
        self._backend = backend
        self._options = options
        policies = [options.dropping.policy_for(camera.spec.is_live) for camera in cameras]
        # Whoever reads a file wants all of it in every sink; beside one camera nothing may wait.
        sink_policy = DropPolicy.LATEST if DropPolicy.LATEST in policies else DropPolicy.BLOCK
        batch = options.batching.size_for(len(cameras), backend.largest_prepared_batch)
        self._queues: CameraQueues[Captured] = CameraQueues(policies)
        self._inferred: FrameBuffer[Inferred] = FrameBuffer(RESULTS_WAITING, DropPolicy.BLOCK)
        self._own: FrameBuffer[FrameResult] = FrameBuffer(RESULTS_WAITING, sink_policy)
        self._inference = InferenceStage(
            backend,
            self._queues,
            self._inferred,
            batch,
            options.batching.patience_s,
            lambda: self._stop_requested,
        )
        names = backend.contract.class_names
        self._results = ResultStage(cameras, names, options.postprocess)
        self._readers = [self._make_reader(index, report) for index in range(len(cameras))]
        self._progress = [CameraProgress(reader) for reader in self._readers]
        is_live = any(camera.spec.is_live for camera in cameras)
        workers = [SinkWorker(sink, sink_policy, is_live, report, self._fail) for sink in sinks]
        self._workers = workers
        self._workers_here = [worker for worker in workers if worker.sink.in_main_thread]
        self._sinks_apart = SinkGroup(
            [worker for worker in workers if not worker.sink.in_main_thread], is_live
        )
        self._times = SharedTimes()
        self._started = self._ended = 0.0
        self._stop_requested = False
        self._drain_until: float | None = None
        self._errors: list[BaseException] = []

    def request_stop(self) -> None:
        """End after the batch that the network is at; pictures waiting for it are dropped.

        May be called from a signal handler or any thread.
        """
        self._stop_requested = True  # no lock: a handler may interrupt its holder

    def set_score(self, score: float) -> None:
        """Keep boxes from this score on, beginning with the next picture; from any thread.

        Raises:
            UsageError: If it is not in [0, 1].
        """
        self._results.score = score

    def status(self) -> StreamStatus:
        """Return a snapshot of now; may be called from any thread."""
        rows = zip(self._cameras, self._progress, self._queues.dropped, strict=True)
        return StreamStatus(
            model=self._backend.contract.name,
            precision=self._backend.contract.precision,
            backend=self._backend.name,
            score=self._results.score,
            seconds=self._seconds(),
            cameras=tuple(own.status(camera.spec.name, lost) for camera, own, lost in rows),
            sinks=tuple(map(self._sink_status, self._workers)),
            stages=self._times.summary(),
        )

    def close_sinks(self) -> None:
        """Finish all sinks, once the stream has ended, except those that were given up.

        Raises:
            OSError: If a sink cannot be finished and there is no camera in the stream; of a
                camera's stream, ``report`` and ``summary`` say so.
            OutputError: The same.
        """
        for worker in self._workers:
            worker.close()

    def summary(self) -> StreamSummary:
        """Return what the stream did, once it has ended."""
        return StreamSummary.of(self.status())

    def run(self, on_tick: Callable[[], None] | None = None) -> StreamSummary:
        """Stream until all sources end, ``max_frames`` are done, or ``request_stop``.

        Args:
            on_tick: Called some times per second in the calling thread.

        Raises:
            CornerRTError: The first fatal error of any thread, after what was under way was
                published.
        """
        for _ in self._drive(bool(self._workers_here), on_tick):
            pass
        return self.summary()

    def results(
        self, on_tick: Callable[[], None] | None = None
    ) -> Generator[FrameResult, None, None]:
        """Stream as ``run`` does and yield every result in the calling thread.

        A caller that is slow loses results of live sources, and delays those of files. Closing the
        generator ends the stream, and raises what went wrong on the way.

        Raises:
            CornerRTError: As ``run`` does.
        """
        return self._drive(True, on_tick)

    def _drive(
        self, wants_results: bool, on_tick: Callable[[], None] | None
    ) -> Generator[FrameResult, None, None]:
        """Start all threads, do the calling thread's part, and end all threads."""
        threads = self._start(wants_results)
        longest_s = math.inf  # a batch takes as long as it takes
        try:
            for result in self._wait(on_tick):
                for worker in self._workers_here:
                    worker.publish(result)
                yield result
        except GeneratorExit:
            self.request_stop()  # the caller had enough; what fails at the end is raised below
        except Exception as error:  # a window's
            self._fail(error)
        except KeyboardInterrupt:
            longest_s = JOIN_TIMEOUT_S  # no matter what hangs
            self.request_stop()
            raise
        finally:
            self._stop(threads, longest_s)
        if self._errors:
            raise self._errors[0]

    def _wait(self, on_tick: Callable[[], None] | None) -> Iterator[FrameResult]:
        """Yield results as they come, and look up regularly when none do."""
        next_tick = 0.0
        while True:
            now = time.monotonic()
            if self._stop_requested or (self._drain_until is not None and now > self._drain_until):
                self._queues.cancel()
                self._sinks_apart.leave_stuck_behind()
            if on_tick is not None and now >= next_tick:
                on_tick()
                next_tick = now + TICK_S
            try:
                result = self._own.get(TICK_S)
            except TimeoutError:
                continue
            if result is None:
                return
            yield result

    def _start(self, wants_results: bool) -> list[threading.Thread]:
        if self._started:
            raise RuntimeError("this stream has run already; expected a new one: open it again")
        self._started = time.monotonic()
        work: dict[str, Callable[[], None]] = {
            f"capture {camera.spec.name}": lambda index=index: self._capture(index)  # type: ignore[misc]
            for index, camera in enumerate(self._cameras)
        }
        work["inference"] = lambda: self._inference.run(self._options.max_frames)
        work["results"] = lambda: self._finish_results(wants_results)
        threads = [
            threading.Thread(target=self._guard, args=(part,), name=name, daemon=True)
            for name, part in work.items()
        ]
        self._sinks_apart.start()
        for thread in threads:
            thread.start()
        return threads

    def _stop(self, threads: Sequence[threading.Thread], longest_s: float) -> None:
        """End all threads: the network at once, the sinks when they have published what waits.

        Args:
            threads: From ``_start``.
            longest_s: How long to wait for the network to finish its batch.
        """
        self._queues.cancel()
        self._own.cancel()
        for reader in self._readers:
            reader.stop()
        captures, middle = threads[: len(self._cameras)], threads[len(self._cameras) :]
        for thread in middle:
            self._join(thread, longest_s)
        self._sinks_apart.end(lambda: self._stop_requested)
        self._ended = time.monotonic()  # of what is counted; a camera's driver may hang
        for thread in captures:
            thread.join(max(0.0, self._ended + JOIN_TIMEOUT_S - time.monotonic()))

    def _join(self, thread: threading.Thread, longest_s: float) -> None:
        """Wait for a thread, which may wait for a sink that hangs."""
        deadline = time.monotonic() + longest_s
        thread.join(TICK_S)
        while thread.is_alive() and time.monotonic() < deadline:
            self._sinks_apart.leave_stuck_behind()
            thread.join(TICK_S)

    def _sink_status(self, worker: SinkWorker) -> SinkStatus:
        status = worker.status()
        if worker.sink.in_main_thread:  # what waits for it waits for the calling thread
            return replace(status, dropped=self._own.dropped)
        return status

    def _seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._started if self._started else 0.0

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work and keep its error for the caller."""
        try:
            work()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._errors.append(error)
        self.request_stop()

    def _make_reader(self, index: int, report: Report) -> SourceReader:
        camera = self._cameras[index]
        options = replace(self._options.reader, every=self._options.dropping.every)

        def deliver(frame: Frame, capture_ms: float) -> bool:
            return self._queues.put(index, prepare_frame(self._backend, frame, capture_ms))

        return SourceReader(camera.spec, options, deliver, report, camera.source)

    def _capture(self, index: int) -> None:
        try:
            self._readers[index].run()
        except BaseException as error:
            # Not `_fail`: what was captured before is still wanted.
            self._errors.append(error)
            self._drain_until = time.monotonic() + DRAIN_TIMEOUT_S
            for reader in self._readers:
                reader.stop()
        finally:
            self._queues.close(index)

    def _finish_results(self, wants_results: bool) -> None:
        """Make results and hand them to the sinks; the results thread."""
        try:
            while (inferred := self._inferred.get()) is not None:
                result = self._results.result_from(inferred)
                self._times.record(result.times_ms)
                self._progress[inferred.camera].record(result)
                self._sinks_apart.offer(result)
                if wants_results:
                    self._own.put(result)
        finally:
            self._inferred.cancel()
            self._own.close()
