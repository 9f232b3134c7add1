"""One frame's way through all stages, one after another in one thread, each with its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from runtime.backend_base import Backend, PreparedFrame
from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.latency import Latency, histogram_of
from runtime.layer_table import DECODE, module_share
from runtime.layers import LayerProfile
from runtime.measured_clip import ClipReader
from runtime.measurement import Journey, StageLatency
from runtime.nvtx_ranges import StageRange, mark_stage
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.sinks import Sink
from runtime.spans import STAGES, FrameSpans, counted, samples_by_stage
from runtime.stage_clock import ReadSpans

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class FrameSequence:
    """Takes frames through all stages of one backend. Use from one thread.

    Args:
        backend: Open; stays open.
        reader: Where pictures come from.
        postprocess: What to keep of the network's boxes.
        sink: Gets every result.
        stage_range: Entered around every stage; None for nothing.
    """

    def __init__(
        self,
        backend: Backend,
        reader: ClipReader,
        postprocess: PostprocessOptions,
        sink: Sink,
        stage_range: StageRange | None = None,
    ) -> None:
        def marked(stage: str, action: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
            return action if stage_range is None else mark_stage(stage_range, stage, action)

        self._backend = backend
        self._postprocess = postprocess
        self._read = marked("capture", reader.read)
        self._prepare = marked(backend.prepare_stage, backend.prepare)
        self._infer = marked("network", backend.infer_timed)
        self._detect = marked("soft-NMS", detections_from_raw)
        self._draw = marked("draw", drawn_result)
        self._publish = marked("publish", sink.publish)
        self._sequence = 0
        self._ready: PreparedFrame | None = None

    def next_frame(self, is_warmup: bool = False) -> FrameSpans:
        """Take the next picture from its source to the sink.

        Each stage begins at the reading of the clock that ended the one before, so that stages add
        up to the whole.

        Args:
            is_warmup: Whether it does not count.

        Raises:
            CornerRTError: If the picture cannot be read, or a stage fails.
        """
        now_ns, backend = time.perf_counter_ns, self._backend
        frame, started_ns = self._read()
        captured_ns = now_ns()
        prepared = self._prepare(frame.image)
        prepared_ns = now_ns()
        outputs, parts_ms = self._infer(prepared)
        inferred_ns = now_ns()
        found = self._detect(outputs, prepared.letterbox, self._postprocess)
        detected_ns = now_ns()
        result = self._draw(frame, found, backend.contract.class_names)
        drawn_ns = now_ns()
        self._publish(result)
        ended_ns = now_ns()
        readings = (
            ("capture", captured_ns),
            (backend.prepare_stage, prepared_ns),
            (parts_ms, inferred_ns),
            ("soft-NMS", detected_ns),
            ("draw", drawn_ns),
            ("publish", ended_ns),
        )
        self._sequence += 1
        spans = ReadSpans(started_ns, readings)
        return FrameSpans(self._sequence - 1, is_warmup, spans, started_ns, ended_ns)

    def bare_network_ms(self) -> float:
        """Run the network alone, on a picture that lies ready since the first call."""
        if self._ready is None:
            self._ready = self._backend.prepare(self._read()[0].image)
        return self._backend.infer_timed(self._ready)[1]["network"]


def drawn_result(frame: Frame, found: Detections, class_names: Sequence[str]) -> FrameResult:
    """Return a frame's result with its boxes drawn, as for a sink that shows pictures."""
    height, width = frame.image.shape[:2]
    result = FrameResult(frame.source, frame, found, class_names, {}, (height, width))
    _ = result.annotated  # drawn when first asked for, and kept
    return result


@dataclass(frozen=True)
class JourneySamples:
    """What was measured of one artifact, in the order in which it was.

    Attributes:
        rounds: Frames by round.
        bare_ms: The network alone on a picture that lies ready.
    """

    rounds: tuple[tuple[FrameSpans, ...], ...]
    bare_ms: tuple[float, ...]

    def after(self, warmup: Sequence[FrameSpans]) -> JourneySamples:
        """Return the same with frames that came before all rounds."""
        return replace(self, rounds=(tuple(warmup), *self.rounds))

    @property
    def frames(self) -> list[FrameSpans]:
        """All frames, warm-up too."""
        return [frame for round_ in self.rounds for frame in round_]

    @property
    def counted_rounds(self) -> list[list[FrameSpans]]:
        """The frames that count, by round that has any."""
        rounds = [list(counted(round_)) for round_ in self.rounds]
        return [round_ for round_ in rounds if round_]


def journey_of(samples: JourneySamples, layers: LayerProfile | None) -> Journey:
    """Summarise frames.

    Args:
        samples: With at least one frame that counts, and one run of the network alone.
        layers: Tells how much of the network is decoding; None if it was not asked for. Only its
            shares are of use here: under a profiler layers take longer than without.
    """
    rounds = samples.counted_rounds
    rounds_ms = tuple(tuple(frame.milliseconds for frame in round_) for round_ in rounds)
    total_ms = [milliseconds for round_ms in rounds_ms for milliseconds in round_ms]
    bare = Latency.of(samples.bare_ms)
    return Journey(
        stages=_stages(rounds),
        end_to_end=Latency.of(total_ms),
        histogram=histogram_of(total_ms),
        bare=bare,
        decode_ms=None if layers is None else module_share(layers, DECODE).share * bare.p50_ms,
        warmup_ms=tuple(frame.milliseconds for frame in samples.frames if frame.is_warmup),
        rounds_ms=rounds_ms,
    )


def _stages(rounds: Sequence[Sequence[FrameSpans]]) -> tuple[StageLatency, ...]:
    """Summarise every stage, in the order of tables."""
    by_round = [samples_by_stage(round_) for round_ in rounds]
    stages = []
    for name in sorted(by_round[0], key=_place_in_table):
        rounds_ms = tuple(tuple(own[name]) for own in by_round)
        samples_ms = [milliseconds for round_ms in rounds_ms for milliseconds in round_ms]
        latency = Latency.of(samples_ms)
        stages.append(StageLatency(name, latency, histogram_of(samples_ms), rounds_ms))
    return tuple(stages)


def _place_in_table(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
