"""One frame's way through all stages, one after another in one thread, each with its time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runtime.backend_base import Backend, PreparedFrame
from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.latency import Latency, histogram_of
from runtime.layer_table import DECODE, module_share
from runtime.layers import LayerProfile
from runtime.measured_clip import ClipReader
from runtime.measurement import Journey, StageLatency
from runtime.nvtx_ranges import StageRange, no_ranges
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.sinks import Sink
from runtime.spans import STAGES, FrameSpans, Span, counted, samples_by_stage


class StageClock:
    """Cuts a stretch of time into spans without gaps.

    While time runs it only notes readings: spans are made of them afterwards, outside of what is
    measured.

    Args:
        started_ns: Reading of ``time.perf_counter_ns`` at which the first span begins.

    Attributes:
        ended_ns: When the last span ended.
    """

    def __init__(self, started_ns: int) -> None:
        self._started_ns = self.ended_ns = started_ns
        self._readings: list[tuple[Mapping[str, float], int]] = []

    def end(self, stage: str) -> None:
        """End the span that began where the last one ended, now."""
        self.end_parts({stage: 0.0})

    def end_parts(self, parts_ms: Mapping[str, float]) -> None:
        """End the span now, to be cut into parts that something else measured.

        They follow each other in their order; the last one takes what is left: some microseconds,
        since whoever measured them was part of the span. Where clocks disagree and they are longer
        than the span, all are shortened alike.

        Args:
            parts_ms: Milliseconds by stage, at least one; not to be changed afterwards.
        """
        self.ended_ns = time.perf_counter_ns()
        self._readings.append((parts_ms, self.ended_ns))

    def spans(self) -> tuple[Span, ...]:
        """Return what was cut so far, in order."""
        spans: list[Span] = []
        began_ns = self._started_ns
        for parts_ms, ended_ns in self._readings:
            spans += _cut(parts_ms, began_ns, ended_ns)
            began_ns = ended_ns
        return tuple(spans)


def _cut(parts_ms: Mapping[str, float], began_ns: int, ended_ns: int) -> Iterator[Span]:
    """Yield the parts of a span, as ``StageClock.end_parts`` says."""
    told_ns = sum(parts_ms.values()) * 1e6
    scale = min(1.0, (ended_ns - began_ns) / told_ns) if told_ns > 0 else 1.0
    at_ns, passed_ms = began_ns, 0.0
    *others, last = parts_ms
    for stage in others:
        passed_ms += parts_ms[stage] * scale
        until_ns = min(ended_ns, began_ns + round(passed_ms * 1e6))
        yield Span(stage, at_ns, until_ns)
        at_ns = until_ns
    yield Span(last, at_ns, ended_ns)


class FrameSequence:
    """Takes frames through all stages of one backend. Use from one thread.

    Args:
        backend: Open; stays open.
        reader: Where pictures come from.
        postprocess: What to keep of the network's boxes.
        sink: Gets every result.
        stage_range: Entered around every stage.
    """

    def __init__(
        self,
        backend: Backend,
        reader: ClipReader,
        postprocess: PostprocessOptions,
        sink: Sink,
        stage_range: StageRange = no_ranges,
    ) -> None:
        self._backend = backend
        self._reader = reader
        self._postprocess = postprocess
        self._sink = sink
        self._range = stage_range
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
        backend = self._backend
        with self._range("capture"):
            frame, started_ns = self._reader.read()
        clock = StageClock(started_ns)
        clock.end("capture")
        with self._range(backend.prepare_stage):
            prepared = backend.prepare(frame.image)
        clock.end(backend.prepare_stage)
        with self._range("network"):
            outputs, parts_ms = backend.infer_timed(prepared)
        clock.end_parts(parts_ms)
        with self._range("soft-NMS"):
            found = detections_from_raw(outputs, prepared.letterbox, self._postprocess)
        clock.end("soft-NMS")
        with self._range("draw"):
            result = drawn_result(frame, found, backend.contract.class_names)
        clock.end("draw")
        with self._range("publish"):
            self._sink.publish(result)
        clock.end("publish")
        self._sequence += 1
        return FrameSpans(self._sequence - 1, is_warmup, clock.spans(), started_ns, clock.ended_ns)

    def bare_network_ms(self) -> float:
        """Run the network alone, on a picture that lies ready since the first call."""
        if self._ready is None:
            self._ready = self._backend.prepare(self._reader.read()[0].image)
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
        layers: Tells how much of the network is decoding; None if it was not asked for.
    """
    rounds = samples.counted_rounds
    rounds_ms = tuple(tuple(frame.milliseconds for frame in round_) for round_ in rounds)
    total_ms = [milliseconds for round_ms in rounds_ms for milliseconds in round_ms]
    stages = _stages(rounds)
    return Journey(
        stages=stages,
        end_to_end=Latency.of(total_ms),
        histogram=histogram_of(total_ms),
        bare=Latency.of(samples.bare_ms),
        decode_ms=None if layers is None else _decode_ms(stages, layers),
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


def _decode_ms(stages: Sequence[StageLatency], layers: LayerProfile) -> float:
    """Return the decoder's share of the layers' time, of the network's time in the program.

    Layers take longer under a profiler than without: only their shares are of use here.
    """
    network_ms = next(own.latency.mean_ms for own in stages if own.stage == "network")
    return module_share(layers, DECODE).share * network_ms


def _place_in_table(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
