"""A stream for the web view: cameras that show moving shapes, and what it says about itself."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import cv2
import numpy as np

from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.sinks import Sink
from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, RateMeter, SinkStatus, StreamStatus
from runtime.timing import StageSummary
from runtime.tracks import Tracks

CLASS_NAMES = ("person", "bicycle", "car")
STAGES = {"capture": 0.4, "prepare": 1.9, "inference": 11.6, "decode": 1.1, "publish": 2.3}
GROUND = ((38, 34, 30), (92, 84, 74))  # BGR at the top and at the bottom


@dataclass
class FakeCamera:
    """What one camera has done; tests change it."""

    name: str
    size_hw: tuple[int, int] = (720, 1280)
    state: SourceState = SourceState.LIVE
    problem: str = ""
    captured: int = 0
    dropped: int = 0
    reconnects: int = 0
    age_ms: float | None = None
    last_result_ns: int | None = None
    rate: RateMeter = field(default_factory=RateMeter)

    def status(self) -> CameraStatus:
        return CameraStatus(
            name=self.name,
            state=self.state,
            problem=self.problem,
            captured=self.captured,
            dropped=self.dropped,
            results=self.captured - self.dropped,
            detections=3 * self.captured,
            reconnects=self.reconnects,
            frames_per_second=self.rate.per_second(),
            age_ms=self.age_ms,
            last_result_ns=self.last_result_ns,
            line_counts={"door": {"in": self.captured // 40, "out": self.captured // 90}},
            zone_counts={"yard": 2},
        )


class FakeControl:
    """Stands in for the running stream.

    Attributes:
        statuses: How often it was asked.
        fail: Whether asking raises.
    """

    def __init__(self, *cameras: FakeCamera) -> None:
        self.cameras = cameras
        self.sinks: tuple[SinkStatus, ...] = ()
        self.score = 0.3
        self.statuses = 0
        self.fail = False
        self._started_s = time.monotonic()

    def status(self) -> StreamStatus:
        self.statuses += 1
        if self.fail:
            raise RuntimeError("the status is\nbroken")
        return StreamStatus(
            model="cornernet-nano",
            precision="int8",
            backend="tensorrt 10.13",
            score=self.score,
            seconds=time.monotonic() - self._started_s,
            cameras=tuple(camera.status() for camera in self.cameras),
            sinks=self.sinks,
            stages={name: _summary(mean) for name, mean in STAGES.items()},
        )

    def set_score(self, score: float) -> None:
        self.score = score


def _summary(mean_ms: float) -> StageSummary:
    return StageSummary(1000, mean_ms, 0.95 * mean_ms, 1.6 * mean_ms, 2.2 * mean_ms)


def make_result(camera: FakeCamera, seconds: float = 0.0, score: float = 0.0) -> FrameResult:
    """Return a picture of three moving shapes and the boxes around them."""
    image, boxes = draw_scene(camera.size_hw, seconds)
    scores = np.array([0.93, 0.71, 0.42], np.float32)
    found = Detections(boxes, scores, np.arange(3, dtype=np.int32))
    tracks = Tracks(np.array([4, 17, -1])[scores >= score])
    frame = Frame(image, camera.name, camera.captured, time.monotonic_ns())
    times = {**STAGES, "age": 24.0}
    return FrameResult(
        camera.name, frame, found.above(score), CLASS_NAMES, times, camera.size_hw, tracks
    )


def draw_scene(size_hw: tuple[int, int], seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, uint8 (H, W, 3) BGR, and its boxes, float32 (3, 4), in pixels."""
    height, width = size_hw
    ramp = np.linspace(0, 1, height)[:, None, None]
    ground = np.array(GROUND[0]) * (1 - ramp) + np.array(GROUND[1]) * ramp
    image = np.ascontiguousarray(np.broadcast_to(ground, (height, width, 3)).astype(np.uint8))
    cv2.line(image, (0, height * 7 // 8), (width, height * 6 // 8), (120, 112, 104), 2)
    boxes = []
    for index, (color, aspect) in enumerate(
        (((180, 150, 90), 0.4), ((110, 170, 120), 1.2), ((100, 110, 190), 1.9))
    ):
        half_h = height * (0.17 - 0.03 * index)
        half_w = half_h * aspect
        x = width * (0.5 + 0.38 * np.sin(0.5 * seconds + 2.1 * index))
        y = height * (0.52 + 0.12 * np.cos(0.4 * seconds + index))
        corners = np.array([x - half_w, y - half_h, x + half_w, y + half_h])
        left, top, right, bottom = corners.round().astype(int).tolist()
        cv2.rectangle(image, (left, top), (right, bottom), color, cv2.FILLED)
        cv2.ellipse(
            image, (round(x), round(y)), (round(half_w * 0.6), round(half_h * 0.6)), 0, 0, 360,
            tuple(channel // 2 for channel in color), cv2.FILLED,
        )  # fmt: skip
        boxes.append(corners)
    return image, np.array(boxes, np.float32)


class FakeStream:
    """Publishes pictures of all live cameras from a thread, as a sink's worker does.

    Args:
        control: Its cameras are shown.
        sink: Gets the results.
        frames_per_second: Of each camera.
    """

    def __init__(self, control: FakeControl, sink: Sink, frames_per_second: float = 25.0) -> None:
        self._control = control
        self._sink = sink
        self._interval_s = 1.0 / frames_per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FakeStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        started_s = time.monotonic()
        while not self._stop.wait(self._interval_s):
            for index, camera in enumerate(self._control.cameras):
                if camera.state is SourceState.LIVE:
                    self._publish(camera, time.monotonic() - started_s + 3 * index)

    def _publish(self, camera: FakeCamera, seconds: float) -> None:
        result = make_result(camera, seconds, self._control.score)
        self._sink.publish(result)
        camera.captured += 1
        camera.dropped += camera.captured % 50 == 0
        camera.rate.tick()
        camera.last_result_ns = time.monotonic_ns()
        camera.age_ms = 20.0 + 4 * np.sin(seconds) + (time.monotonic_ns() % 7)
