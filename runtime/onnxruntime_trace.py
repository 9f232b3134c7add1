"""ONNX Runtime's trace of a session: which node took how long in which run.

The profiler's file is a Chrome trace: one event for each run, one for each node of it, and one for
each sequence of nodes, in whole microseconds. A loop's body has events too, for every turn, inside
the event of the loop; the time that the profiler spends on them is part of the loop's.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.errors import BackendError

_RUN = "model_run"
_NODE_SUFFIX = "_kernel_time"
# What ONNX Runtime calls element types. Pictures and class numbers are no INT8 arithmetic, but
# they stand only before the first and behind the last computation.
_PRECISIONS = {
    "float": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "int8": "int8",
    "uint8": "int8",
}


@dataclass(frozen=True)
class TracedNode:
    """A node of the optimised graph: what tells its events from those of others."""

    name: str
    kind: str
    index: str


@dataclass(frozen=True)
class _Interval:
    """When something ran, in microseconds."""

    start: int
    end: int

    @property
    def milliseconds(self) -> float:
        return (self.end - self.start) / 1e3


@dataclass(frozen=True)
class _Event:
    """One entry of the trace; ``node`` is None where a sequence of nodes was timed."""

    interval: _Interval
    node: TracedNode | None
    precision: str


@dataclass(frozen=True)
class _NodeEvent:
    """The time of a node of the graph, not of a loop's body."""

    interval: _Interval
    node: TracedNode
    precision: str


@dataclass(frozen=True)
class NodeTime:
    """How long a node took in one run."""

    node: TracedNode
    precision: str
    milliseconds: float


@dataclass(frozen=True)
class Trace:
    """What the profiler recorded of runs.

    Attributes:
        runs: Times of the graph's nodes, run by run, in the order in which they ran.
        events: In the last run, of all kinds.
        in_loops: How many of these lie inside each loop.
        event_ms: What the profiler spends on one, by estimate; taken out of the loops' times.
    """

    runs: tuple[tuple[NodeTime, ...], ...]
    events: int
    in_loops: Counter[TracedNode]
    event_ms: float


def read_trace(events: Sequence[dict[str, Any]], runs: int, added_ms: float) -> Trace:
    """Read the last runs of a trace.

    Args:
        events: The profiler's file.
        runs: How many to read, at least one.
        added_ms: By how much the profiler made a run longer, as measured.

    Raises:
        BackendError: If there are fewer runs in it, or none of their nodes.
    """
    spans = [_event(event).interval for event in events if event["name"] == _RUN]
    spans = sorted(spans, key=lambda span: span.start)[-runs:]
    others = [_event(event) for event in events if event["name"] != _RUN]
    others.sort(key=lambda event: (event.interval.start, -event.interval.end))
    starts = [event.interval.start for event in others]
    by_run = [others[bisect_left(starts, s.start) : bisect_left(starts, s.end)] for s in spans]
    if len(spans) < runs or not by_run[-1]:
        raise BackendError(
            f"ONNX Runtime's profiler recorded {len(spans)} of {runs} runs; it keeps a limited "
            "number of events; ask for fewer runs"
        )
    event_ms = _event_cost(by_run[-1], added_ms)
    timed = tuple(_without_bodies(each, event_ms) for each in by_run)
    return Trace(timed, len(by_run[-1]), _split(by_run[-1])[1], event_ms)


def _event(event: dict[str, Any]) -> _Event:
    interval = _Interval(event["ts"], event["ts"] + event["dur"])
    name, arguments = event["name"], event.get("args", {})
    if not name.endswith(_NODE_SUFFIX):
        return _Event(interval, None, "")
    kind = arguments["op_name"]
    node = TracedNode(name.removesuffix(_NODE_SUFFIX), kind, arguments.get("node_index", ""))
    return _Event(interval, node, _precision(kind, arguments))


def _precision(kind: str, arguments: dict[str, Any]) -> str:
    """Return the number type of the first tensor that has one we compute in."""
    read, made = arguments.get("input_type_shape", ()), arguments.get("output_type_shape", ())
    tensors = made if kind == "Cast" else read  # a picture that becomes float is no INT8
    types = (_PRECISIONS.get(name, "") for tensor in tensors for name in tensor)
    return next(filter(None, types), "")


def _without_bodies(events: Sequence[_Event], event_ms: float) -> tuple[NodeTime, ...]:
    """Return nodes with their times in one run, those of loops' bodies as part of the loop.

    What the profiler spends on events inside a loop is in the loop's time and is taken out.

    Args:
        events: Of the run.
        event_ms: What the profiler spends on one.
    """
    outer, inside = _split(events)
    return tuple(
        NodeTime(
            event.node,
            event.precision,
            max(0.0, event.interval.milliseconds - inside[event.node] * event_ms),
        )
        for event in outer
    )


def _split(events: Sequence[_Event]) -> tuple[list[_NodeEvent], Counter[TracedNode]]:
    """Tell the nodes of the graph from what lies inside them: a body's nodes and sequences.

    Args:
        events: Of one run, an outer one before those inside it.

    Returns:
        The nodes of the graph, and the number of events inside each.
    """
    outer: list[_NodeEvent] = []
    inside: Counter[TracedNode] = Counter()
    for event in events:
        if outer and event.interval.start < outer[-1].interval.end:
            inside[outer[-1].node] += 1
        elif event.node is not None:
            outer.append(_NodeEvent(event.interval, event.node, event.precision))
    return outer, inside


def _event_cost(events: Sequence[_Event], added_ms: float) -> float:
    """Return what the profiler spends on one event, in milliseconds: an estimate.

    It is what the profiler adds to a run, divided by the events, where that is credible; on a large
    network it drowns in the differences between runs. Then it is the time between two nodes, in
    which hardly anything else happens, and which leaves out what lies within a node's own time.
    """
    outer, _ = _split(events)
    gaps = [b.interval.start - a.interval.end for a, b in itertools.pairwise(outer)]
    between_ms = float(np.median(gaps)) / 1e3 if gaps else 0.0
    event_ms = added_ms / len(events)
    return event_ms if between_ms / 2 <= event_ms <= between_ms * 2 else between_ms
