"""Readings of the clock that become spans: without gaps, in order, when somebody asks."""

from __future__ import annotations

import pytest

from runtime.spans import Span
from runtime.stage_clock import ReadSpans

MS = 1_000_000


def test_spans_follow_each_other_from_the_start_to_the_last_reading() -> None:
    spans = ReadSpans(5, (("capture", 10), ({"network": 0.0}, 30), ("draw", 31)))
    assert list(spans) == [Span("capture", 5, 10), Span("network", 10, 30), Span("draw", 30, 31)]


def test_spans_are_a_sequence() -> None:
    spans = ReadSpans(0, (("capture", 10), ({"enqueue": 0.0, "network": 0.0}, 30)))
    assert len(spans) == 3 == len(list(spans)) == len(list(spans))  # as often as one likes
    assert spans[-1] == spans[2] == Span("network", 10, 30)
    assert [span.stage for span in spans[1:]] == ["enqueue", "network"]
    with pytest.raises(IndexError):
        spans[3]
    assert len(ReadSpans(0, ())) == 0


def test_the_last_part_takes_what_is_left() -> None:
    parts_ms = {"enqueue": 0.5, "network": 1.5, "copy out": 0.25}
    assert list(ReadSpans(MS, ((parts_ms, 11 * MS),))) == [
        Span("enqueue", MS, MS + MS // 2),
        Span("network", MS + MS // 2, 3 * MS),
        Span("copy out", 3 * MS, 11 * MS),
    ]


def test_parts_longer_than_the_span_are_shortened_alike() -> None:
    parts_ms = {"network": 3000.0, "copy out": 1000.0}
    assert list(ReadSpans(0, ((parts_ms, 4 * MS),))) == [
        Span("network", 0, 3 * MS),
        Span("copy out", 3 * MS, 4 * MS),
    ]


@pytest.mark.parametrize("parts_ms", [{"network": 0.0}, {"network": 0.0, "copy out": 0.0}])
def test_parts_without_time_leave_it_to_the_last(parts_ms: dict[str, float]) -> None:
    spans = list(ReadSpans(0, ((parts_ms, MS),)))
    assert [span.stage for span in spans] == list(parts_ms)
    assert spans[-1].milliseconds == 1.0
