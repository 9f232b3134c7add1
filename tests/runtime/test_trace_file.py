"""Timelines: the structure that Perfetto and chrome://tracing read, and what is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.device_samples import DeviceSample
from runtime.layers import LayerProfile, LayerTime
from runtime.spans import FrameSpans, Span
from runtime.trace_file import write_trace

ZERO_NS = 7_000_000_000_123
# Microseconds that the stages of every frame take.
STAGES_US = {"capture": 1000, "network": 9000.5, "draw": 250}
FRAME_US = 20_000
# Fields of every event, and of each kind, by the format's document.
FIELDS = {"name", "ph", "pid", "tid", "ts"}
FIELDS_BY_PHASE = {"X": {"dur"}, "C": {"args"}, "M": {"args"}}


def frames(count: int, first_us: float = 0, warmup: int = 1) -> list[FrameSpans]:
    """Return frames one after another."""
    found = []
    for number in range(count):
        start = now = ZERO_NS + round((first_us + number * FRAME_US) * 1000)
        spans = []
        for stage, duration_us in STAGES_US.items():
            spans.append(Span(stage, now, now + round(duration_us * 1000)))
            now = spans[-1].ended_ns
        found.append(FrameSpans(number, number < warmup, tuple(spans), start, now))
    return found


def sample(at_us: float, throttled: tuple[str, ...] = (), milliwatts: float = 5000) -> DeviceSample:
    return DeviceSample(
        at_ns=ZERO_NS + round(at_us * 1000),
        power_mw={"VDD_IN": milliwatts, "VDD_GPU": 2000.0},
        temperatures_c={"tj": 51.5},
        clocks_mhz={"gpu": 918.0},
        loads={"gpu": 0.5},
        throttled=throttled,
    )


def written(path: Path, *arguments: Any, **named: Any) -> dict[str, Any]:
    """Write a trace and read it back, after a look at what every viewer needs."""
    write_trace(path, *arguments, **named)
    body: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert body["displayTimeUnit"] == "ms"
    for event in body["traceEvents"]:
        assert event.keys() >= FIELDS | FIELDS_BY_PHASE[event["ph"]], event
        assert isinstance(event["ts"], int | float) and event.get("dur", 0) >= 0
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())
    return body


def events(body: dict[str, Any], phase: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        event
        for event in body["traceEvents"]
        if event["ph"] == phase and all(event.get(key) == value for key, value in fields.items())
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "trace.json"


def test_every_artifact_is_a_process_with_a_name_in_our_order(path: Path) -> None:
    body = written(path, {"a.onnx": frames(1), "b.onnx": frames(1, FRAME_US)})
    names = events(body, "M", name="process_name")
    assert [(one["pid"], one["args"]["name"]) for one in names] == [(1, "a.onnx"), (2, "b.onnx")]
    order = events(body, "M", name="process_sort_index")
    assert [(one["pid"], one["args"]["sort_index"]) for one in order] == [(1, 1), (2, 2)]
    assert {one["args"]["name"] for one in events(body, "M", name="thread_name")} == {"frames"}


def test_stages_are_complete_events_in_microseconds_within_their_frame(path: Path) -> None:
    body = written(path, {"a": frames(2)})
    found = [(one["name"], one["ts"], one["dur"]) for one in events(body, "X")]
    assert found == [
        ("warm-up 0", 0, 10250.5),
        ("capture", 0, 1000),
        ("network", 1000, 9000.5),
        ("draw", 10000.5, 250),
        ("frame 1", 20000, 10250.5),
        ("capture", 20000, 1000),
        ("network", 21000, 9000.5),
        ("draw", 30000.5, 250),
    ]


def test_warm_up_is_told_apart_in_every_event(path: Path) -> None:
    body = written(path, {"a": frames(3, warmup=2)})
    kinds = {(one["args"]["frame"], one["cat"]) for one in events(body, "X")}
    assert kinds == {(0, "warm-up"), (1, "warm-up"), (2, "frame")}
    assert {one["args"]["warm-up"] for one in events(body, "X", cat="frame")} == {False}


def test_the_first_frame_of_all_artifacts_is_zero(path: Path) -> None:
    body = written(path, {"late": frames(1, 50_000), "early": frames(1)})
    starts = {one["pid"]: one["ts"] for one in events(body, "X", name="warm-up 0")}
    assert starts == {1: 50_000, 2: 0}


def test_every_reading_of_the_device_is_a_counter_of_its_own(path: Path) -> None:
    body = written(path, {"a": frames(1)}, [sample(-500), sample(2500.5, milliwatts=6000)])
    assert {one["pid"] for one in events(body, "C")} == {2}
    assert events(body, "M", pid=2, name="process_name")[0]["args"] == {"name": "device"}
    power = events(body, "C", name="power VDD_IN")
    assert [(one["ts"], one["args"]) for one in power] == [
        (-500, {"mW": 5000}),
        (2500.5, {"mW": 6000}),
    ]
    assert {one["name"] for one in events(body, "C")} == {
        "power VDD_IN",
        "power VDD_GPU",
        "temperature tj",
        "clock gpu",
        "load gpu",
    }


def test_throttling_lasts_from_its_first_sample_to_the_first_without(path: Path) -> None:
    told = [(), ("hot",), ("hot", "over-current"), ("over-current",)]
    samples = [sample(1000.0 * number, reasons) for number, reasons in enumerate(told)]
    body = written(path, {"a": frames(1)}, samples)
    found = {one["name"]: (one["ts"], one["dur"]) for one in events(body, "X", pid=2)}
    assert found == {"hot": (1000, 2000), "over-current": (2000, 1000)}
    assert not events(written(path, {"a": frames(1)}, samples[:1]), "X", pid=2)


def test_layers_lie_as_medians_under_the_first_network_that_counts(path: Path) -> None:
    layers = (
        LayerTime("stem", "Conv", ("stem.0/Conv", "stem.1/Relu"), "int8", (1.0, 9.0, 2.0)),
        LayerTime("empty", "Identity", (), "", ()),
        LayerTime("topk", "TopK", ("decode/TopK",), "fp32", (0.5,)),
    )
    profile = LayerProfile("onnxruntime 1.31.1", layers, (3.0,))
    body = written(path, {"a": frames(2), "b": frames(2)}, layers={"a": profile})
    found = events(body, "X", cat="layer")
    assert [(one["pid"], one["name"], one["ts"], one["dur"]) for one in found] == [
        (1, "stem", 21000, 2000),
        (1, "topk", 23000, 500),
    ]
    assert found[0]["args"] == {
        "kind": "Conv",
        "precision": "int8",
        "modules": ["stem.0", "stem.1"],
    }
    (thread,) = events(body, "M", name="thread_name", tid=found[0]["tid"])
    assert thread["args"]["name"] == "layers, medians of a profile by onnxruntime 1.31.1"
    warmup_only = written(path, {"a": frames(1)}, layers={"a": profile})
    assert not events(warmup_only, "X", cat="layer")


def test_facts_are_metadata(path: Path) -> None:
    body = written(path, {"a": frames(1)}, facts={"command": "measure.py a"})
    assert body["otherData"] == {"format": "CornerRT timeline", "command": "measure.py a"}


def test_no_frames_give_a_timeline_without_events_or_the_devices_alone(path: Path) -> None:
    assert written(path, {})["traceEvents"] == []
    body = written(path, {}, [sample(0)])
    assert {one["ts"] for one in events(body, "C")} == {0}


def test_a_trace_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "trace.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_trace(tmp_path / "trace.json", {"a": frames(1)})
    assert [one.name for one in tmp_path.iterdir()] == ["trace.json"]
