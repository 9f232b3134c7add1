"""What happened when: the stages of measured frames, for latencies and for a timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one frame.

    Attributes:
        stage: One of ``STAGES``, or another name.
        started_ns: Reading of ``time.perf_counter_ns``.
        ended_ns: The same, at its end.
    """

    stage: str
    started_ns: int
    ended_ns: int

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.ended_ns - self.started_ns) / 1e6


@dataclass(frozen=True, slots=True)
class FrameSpans:
    """One frame's way through all stages.

    Attributes:
        sequence: Number of the frame in its run, from 0.
        is_warmup: Whether it does not count.
        spans: Its stages in order, without overlap.
        started_ns: Reading of ``time.perf_counter_ns`` before anything.
        ended_ns: The same after everything.
    """

    sequence: int
    is_warmup: bool
    spans: Sequence[Span]
    started_ns: int
    ended_ns: int

    @property
    def milliseconds(self) -> float:
        """From before the first stage to after the last."""
        return (self.ended_ns - self.started_ns) / 1e6


# A frame's way: the order of every table and chart. "enqueue" (the host gives the GPU its work),
# "copy in" and "copy out" exist on a GPU only; "decode" is a part of "network" that a profile by
# layers tells.
STAGES = (
    "capture",
    "letterbox",
    "enqueue",
    "copy in",
    "network",
    "copy out",
    "soft-NMS",
    "draw",
    "publish",
)


def samples_by_stage(frames: Sequence[FrameSpans]) -> dict[str, list[float]]:
    """Return every stage's times in milliseconds, one per frame that counts, in order of a frame.

    A stage that a frame went through twice counts with its sum.
    """
    samples: dict[str, list[float]] = {}
    for frame in counted(frames):
        times: dict[str, float] = {}
        for span in frame.spans:
            times[span.stage] = times.get(span.stage, 0.0) + span.milliseconds
        for stage, milliseconds in times.items():
            samples.setdefault(stage, []).append(milliseconds)
    return samples


def counted(frames: Sequence[FrameSpans]) -> Iterator[FrameSpans]:
    """Yield the frames that are no warm-up."""
    return (frame for frame in frames if not frame.is_warmup)
