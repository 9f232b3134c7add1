"""Traces as ONNX Runtime writes them, made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import BackendError
from runtime.onnxruntime_trace import read_trace

Event = dict[str, Any]


def run(start: int, duration: int) -> Event:
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": duration, "args": {}}


def sequence(start: int, duration: int) -> Event:
    name = "SequentialExecutor::Execute"
    return {"cat": "Session", "name": name, "ts": start, "dur": duration, "args": {}}


def node(name: str, start: int, duration: int, kind: str = "Conv", **types: str) -> Event:
    arguments: dict[str, Any] = {"op_name": kind, "node_index": "0", "provider": "CPU"}
    for side in ("input", "output"):
        words = types.get(side, "float").split()
        arguments[f"{side}_type_shape"] = [{word: [1, 3]} for word in words]
    event = {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": duration}
    return {**event, "args": arguments}


def plain_run(start: int, first: int, second: int) -> list[Event]:
    """Return a run of two nodes with 10 us before, between and after."""
    events = [node("a/Conv", start + 10, first), node("b/Conv", start + first + 20, second)]
    whole = first + second + 30
    return [*events, sequence(start + 2, whole - 4), run(start, whole)]


def loop_run() -> list[Event]:
    """Return a run with a loop of 400 us that turns twice: six events inside, each costs 10 us."""
    turns = [
        event
        for start in (130, 300)
        for event in (
            node("body/Max", start + 2, 5, "Max"),
            node("Identity_1", start + 20, 5, "Identity"),
            sequence(start, 40),
        )
    ]
    loop = [*turns, node("Scan_4", 120, 400, "Scan")]
    others = [node("a/Conv", 10, 100), node("b/Conv", 530, 50)]
    return [*loop, *others, sequence(1, 590), run(0, 600)]


def times(events: list[Event], runs: int, added_ms: float = 0.0) -> list[dict[str, float]]:
    trace = read_trace(events, runs, added_ms)
    return [{each.node.name: each.milliseconds for each in timed} for timed in trace.runs]


def test_times_are_milliseconds_by_run() -> None:
    events = [*plain_run(1000, 300, 50), *plain_run(0, 200, 40)]
    assert times(events, 2) == [{"a/Conv": 0.2, "b/Conv": 0.04}, {"a/Conv": 0.3, "b/Conv": 0.05}]


def test_runs_before_the_last_are_left_out() -> None:
    events = [*plain_run(0, 200, 40), *plain_run(1000, 300, 50)]
    assert times(events, 1) == [{"a/Conv": 0.3, "b/Conv": 0.05}]


def test_nodes_that_take_no_time_lie_beside_each_other() -> None:
    events = [node(name, 10, 0) for name in ("a/Add", "b/Add")]
    events += [node("c/Add", 11, 3), node("d/Add", 14, 0), run(0, 20)]
    assert times(events, 1) == [{"a/Add": 0, "b/Add": 0, "c/Add": 0.003, "d/Add": 0}]


def test_the_body_of_a_loop_is_part_of_the_loop() -> None:
    trace = read_trace(loop_run(), 1, added_ms=0.0)
    assert {node.name: count for node, count in trace.in_loops.items()} == {"Scan_4": 6}
    assert trace.events == 10
    assert list(times(loop_run(), 1)[0]) == ["a/Conv", "Scan_4", "b/Conv"]


@pytest.mark.parametrize(
    ("added_ms", "event_ms"),
    [(0.15, 0.015), (0.06, 0.006), (0.0, 0.01), (-3.0, 0.01), (50.0, 0.01)],
)
def test_what_the_profiler_spends_in_a_loop_is_taken_out(added_ms: float, event_ms: float) -> None:
    """Ten events; 10 us lie between nodes, and what is measured counts if it is near that."""
    assert read_trace(loop_run(), 1, added_ms).event_ms == pytest.approx(event_ms)
    assert times(loop_run(), 1, added_ms)[0]["Scan_4"] == pytest.approx(0.4 - 6 * event_ms)
    assert times(loop_run(), 1, added_ms)[0]["a/Conv"] == 0.1


def test_no_loop_takes_less_than_no_time() -> None:
    events = [node("Scan_4", 120, 40, "Scan"), *(sequence(121 + 3 * i, 2) for i in range(9))]
    events += [node("a/Conv", 10, 100), node("b/Conv", 170, 50), run(0, 300)]
    assert times(events, 1)[0]["Scan_4"] == 0.0


@pytest.mark.parametrize(
    ("kind", "types", "precision"),
    [
        ("Conv", {"input": "float float"}, "fp32"),
        ("Conv", {"input": "float16 float16"}, "fp16"),
        ("QLinearConv", {"input": "uint8 float uint8"}, "int8"),
        ("MaxPool", {"input": "int8"}, "int8"),
        ("Where", {"input": "bool float float"}, "fp32"),
        ("QuantizeLinear", {"input": "float float uint8", "output": "uint8"}, "fp32"),
        ("Cast", {"input": "uint8", "output": "float"}, "fp32"),
        ("Cast", {"input": "float", "output": "int32"}, ""),
        ("Mod", {"input": "int64 int64", "output": "int64"}, ""),
        ("Shape", {"input": ""}, ""),
    ],
)
def test_the_precision_is_that_of_what_a_node_reads(
    kind: str, types: dict[str, str], precision: str
) -> None:
    trace = read_trace([node("a/X", 10, 5, kind, **types), run(0, 20)], 1, 0.0)
    assert trace.runs[0][0].precision == precision


@pytest.mark.parametrize("events", [[], plain_run(0, 5, 5), [run(0, 5), run(10, 5)]])
def test_runs_that_are_missing_are_one_error(events: list[Event]) -> None:
    with pytest.raises(BackendError, match=r"recorded \d of 2 runs; .*ask for fewer runs"):
        read_trace(events, 2, 0.0)
