"""Stages of frames: their lengths, and series by stage."""

from __future__ import annotations

from runtime.spans import STAGES, FrameSpans, Span, counted, samples_by_stage

MILLISECOND = 1_000_000


def frame(sequence: int, *parts: tuple[str, int], is_warmup: bool = False) -> FrameSpans:
    """Return a frame whose stages follow each other, in milliseconds."""
    at, spans = 0, []
    for stage, milliseconds in parts:
        spans.append(Span(stage, at, at + milliseconds * MILLISECOND))
        at += milliseconds * MILLISECOND
    return FrameSpans(sequence, is_warmup, tuple(spans), 0, at)


def test_lengths_are_in_milliseconds() -> None:
    assert Span("draw", 1_000, 2_501_000).milliseconds == 2.5
    assert frame(0, ("capture", 2), ("network", 5)).milliseconds == 7.0


def test_series_hold_one_value_per_frame_that_counts() -> None:
    frames = [
        frame(0, ("capture", 90), ("network", 90), is_warmup=True),
        frame(1, ("capture", 1), ("network", 5)),
        frame(2, ("capture", 2), ("network", 6)),
    ]
    assert samples_by_stage(frames) == {"capture": [1.0, 2.0], "network": [5.0, 6.0]}
    assert [own.sequence for own in counted(frames)] == [1, 2]


def test_a_stage_that_came_twice_counts_with_its_sum() -> None:
    twice = frame(0, ("copy in", 1), ("network", 5), ("copy in", 2))
    assert samples_by_stage([twice]) == {"copy in": [3.0], "network": [5.0]}


def test_no_frames_have_no_series() -> None:
    assert samples_by_stage([]) == {}


def test_stages_have_each_its_name_once() -> None:
    assert len(set(STAGES)) == len(STAGES)
