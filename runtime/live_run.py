"""A camera's pace into the real pipeline: how old results are, and what is lost."""

from __future__ import annotations

from runtime.backend_base import Backend
from runtime.errors import UsageError
from runtime.flow import CameraInput, Dropping, FlowOptions
from runtime.frame_buffer import DropPolicy
from runtime.frames import FrameResult
from runtime.latency import Latency
from runtime.measured_clip import Clip, PacedClip
from runtime.measurement import Live
from runtime.notices import print_notice
from runtime.pipeline import Pipeline
from runtime.postprocess import PostprocessOptions
from runtime.sources import SourceSpec


class _AgeSink:
    """Keeps how old every result was when it was finished."""

    name = "age"
    needs_picture = False
    in_main_thread = False

    def __init__(self) -> None:
        self.ages_ms: list[float] = []

    def publish(self, result: FrameResult) -> None:
        self.ages_ms.append(result.times_ms["age"])

    def close(self) -> None:
        pass

    def discard(self) -> None:
        pass


def run_live(
    backend: Backend,
    clip: Clip,
    frame_rate: float,
    seconds: float,
    postprocess: PostprocessOptions,
) -> Live:
    """Stream a clip as if a camera delivered it: stages at work side by side, the latest wins.

    Args:
        backend: Open; stays open.
        clip: What the camera sees.
        frame_rate: Of the camera, in pictures per second.
        seconds: How long.
        postprocess: What to keep of the network's boxes.

    Raises:
        CornerRTError: If the clip cannot be read, or any stage fails.
        UsageError: If not one result came in that time.
    """
    camera = PacedClip(clip, frame_rate, seconds)
    sink = _AgeSink()
    pipeline = Pipeline(
        [CameraInput(SourceSpec(clip.name, True, lambda: camera), camera)],
        backend,
        [sink],
        FlowOptions(postprocess, Dropping(DropPolicy.LATEST)),
        print_notice,
    )
    try:
        summary = pipeline.run()
        pipeline.close_sinks()
    finally:
        camera.close()
    if not sink.ages_ms:
        raise UsageError(
            f"got no result in {seconds:g} s at {frame_rate:g} pictures per second; expected one "
            "at least; give it longer: --live-seconds"
        )
    return Live(
        frames_per_second=frame_rate,
        age=Latency.of(sink.ages_ms),
        results=summary.frames,
        dropped=summary.dropped + camera.missed,
    )
