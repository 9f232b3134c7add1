"""The work of a pipeline's two middle threads: running the network, and making results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runtime.backend_base import Backend, Outputs, PreparedFrame
from runtime.camera_queues import CameraQueues
from runtime.flow import CameraInput
from runtime.frame_buffer import FrameBuffer
from runtime.frames import Frame, FrameResult
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw


@dataclass(frozen=True)
class Captured:
    """A picture, and the same in the form that the backend takes."""

    frame: Frame
    prepared: PreparedFrame
    times_ms: dict[str, float]


@dataclass(frozen=True)
class Inferred:
    """A picture and what the network gave for it."""

    camera: int
    frame: Frame
    letterbox: Letterbox
    outputs: Outputs
    times_ms: dict[str, float]


def prepare_frame(backend: Backend, frame: Frame, capture_ms: float) -> Captured:
    """Bring a picture to the network's size, or on its way to where that is done."""
    started_ns = time.perf_counter_ns()
    prepared = backend.prepare(frame.image)
    times_ms = {"capture": capture_ms, "letterbox": milliseconds_since(started_ns)}
    return Captured(frame, prepared, times_ms)


@dataclass(frozen=True)
class InferenceStage:
    """Runs the network on what the cameras have, in batches.

    Attributes:
        backend: Used from the thread that calls ``run`` only.
        waiting: What comes from the cameras; cancelled at the end.
        done: Where outputs go; closed at the end.
        batch: Pictures per run at most.
        patience_s: How long one may wait for others to fill its batch.
        is_stopped: Whether to end before the next batch.
    """

    backend: Backend
    waiting: CameraQueues[Captured]
    done: FrameBuffer[Inferred]
    batch: int
    patience_s: float
    is_stopped: Callable[[], bool]

    def run(self, most_frames: int | None) -> None:
        """Work until all cameras have ended, or so many pictures are done; None for no limit."""
        frames = 0
        try:
            while most_frames is None or frames < most_frames:
                room = self.batch if most_frames is None else most_frames - frames
                done = self._run_batch(min(self.batch, room))
                if done == 0:
                    return
                frames += done
        finally:
            self.waiting.cancel()
            self.done.close()

    def _run_batch(self, most: int) -> int:
        """Run the next batch; returns how many pictures are done, 0 at the end.

        Prepared pictures hold memory of the GPU: none is kept while the next ones are awaited.
        """
        taken = self.waiting.take(most, self.patience_s if most > 1 else 0.0)
        if self.is_stopped() or not taken:  # what waits may be seconds of work
            return 0
        return len(taken) if self._infer(taken) else 0

    def _infer(self, taken: Sequence[tuple[int, Captured]]) -> bool:
        """Run one batch; returns whether its outputs are wanted."""
        outputs = self.backend.infer_batch([captured.prepared for _, captured in taken])
        for (camera, captured), own in zip(taken, outputs, strict=True):
            captured.times_ms["network"] = self.backend.network_ms
            letterbox = captured.prepared.letterbox
            inferred = Inferred(camera, captured.frame, letterbox, own, captured.times_ms)
            if not self.done.put(inferred):
                return False
        return True


class ResultStage:
    """Turns the network's outputs into boxes on pictures, and what tracking makes of them.

    Args:
        cameras: Where pictures come from.
        class_names: Names by class id.
        options: What to keep of the network's boxes.
    """

    def __init__(
        self,
        cameras: Sequence[CameraInput],
        class_names: Sequence[str],
        options: PostprocessOptions,
    ) -> None:
        self._cameras = tuple(cameras)
        self._class_names = class_names
        self._options = options

    @property
    def score(self) -> float:
        """The lowest score that is kept; may be set from any thread.

        Raises:
            UsageError: On setting, if it is not in [0, 1].
        """
        return self._options.score_threshold

    @score.setter
    def score(self, score: float) -> None:
        self._options = replace(self._options, score_threshold=score)

    def result_from(self, inferred: Inferred) -> FrameResult:
        """Return the finished result of one picture."""
        started_ns = time.perf_counter_ns()
        camera, frame = self._cameras[inferred.camera], inferred.frame
        image_hw = (frame.image.shape[0], frame.image.shape[1])
        found = detections_from_raw(inferred.outputs, inferred.letterbox, self._options)
        times_ms, tracks = inferred.times_ms, None
        times_ms["postprocess"] = milliseconds_since(started_ns)
        if camera.analyse is not None:
            started_ns = time.perf_counter_ns()
            found, tracks = camera.analyse(found, image_hw, frame)
            times_ms["track"] = milliseconds_since(started_ns)
        times_ms["age"] = (time.monotonic_ns() - frame.captured_ns) / 1e6
        return FrameResult(
            camera=camera.spec.name,
            frame=frame,
            detections=found,
            class_names=self._class_names,
            times_ms=times_ms,
            image_hw=image_hw,
            tracks=tracks,
            draw_places=camera.draw_places,
        )


def milliseconds_since(started_ns: int) -> float:
    """Return the time since a reading of ``time.perf_counter_ns``."""
    return (time.perf_counter_ns() - started_ns) / 1e6
