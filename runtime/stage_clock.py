"""The clock's readings on a frame's way, and the spans that are made of them afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from runtime.spans import Span

# The stage, or the parts, that ended when the clock (``time.perf_counter_ns``) showed this.
Reading = tuple[str | Mapping[str, float], int]


class ReadSpans(Sequence[Span]):
    """Spans without gaps, made of readings whenever they are asked for.

    Making them at once would cost more than all readings, between two frames that are measured, and
    some thousand frames of them slow the collector of garbage down.

    What something else measured is cut into parts, milliseconds by stage. They follow each other in
    their order; the last one takes what is left: some microseconds, since whoever measured them was
    part of the span. Where clocks disagree and they are longer than the span, all are shortened
    alike.

    Args:
        started_ns: Reading of the clock at which the first span begins.
        readings: In order; each span begins where the one before ended. Parts are not to be
            changed afterwards.
    """

    __slots__ = ("_readings", "_started_ns")

    def __init__(self, started_ns: int, readings: tuple[Reading, ...]) -> None:
        self._started_ns = started_ns
        self._readings = readings

    def __iter__(self) -> Iterator[Span]:
        began_ns = self._started_ns
        for what, ended_ns in self._readings:
            if isinstance(what, str):
                yield Span(what, began_ns, ended_ns)
            else:
                yield from _cut(what, began_ns, ended_ns)
            began_ns = ended_ns

    def __len__(self) -> int:
        return sum(1 if isinstance(what, str) else len(what) for what, _ in self._readings)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Span, ...]: ...
    def __getitem__(self, index: int | slice) -> Span | tuple[Span, ...]:
        return tuple(self)[index]


def _cut(parts_ms: Mapping[str, float], began_ns: int, ended_ns: int) -> Iterator[Span]:
    """Yield the parts of a span."""
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
