"""The status as JSON, and whether a stream is well."""

from __future__ import annotations

import dataclasses
import json
import math
import time

import pytest

from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, SinkStatus, StreamStatus
from runtime.web_status import HealthCheck, StatusText, status_values
from runtime.zones import Line, Zone
from tests.fakes.web_stream import FakeCamera, FakeControl

SECOND_NS = 1_000_000_000
NOW_NS = 5000 * SECOND_NS


def status_of(*cameras: CameraStatus, seconds: float = 100.0) -> StreamStatus:
    return dataclasses.replace(FakeControl().status(), cameras=cameras, seconds=seconds)


def test_the_status_has_every_field() -> None:
    sink = SinkStatus("jsonl", 5, 1, "full", None)
    camera = CameraStatus(
        "gate", SourceState.STALLED, "silent", age_ms=12.34567, last_result_ns=NOW_NS - SECOND_NS
    )
    status = dataclasses.replace(status_of(camera), sinks=(sink,))
    values = status_values(status, NOW_NS)
    assert set(values) == {field.name for field in dataclasses.fields(StreamStatus)}
    first = values["cameras"][0]
    names = {field.name for field in dataclasses.fields(CameraStatus)} - {"last_result_ns"}
    assert set(first) == names | {"since_result_ms"}
    assert (first["state"], first["age_ms"], first["since_result_ms"]) == ("stalled", 12.346, 1e3)
    assert values["sinks"][0] == dataclasses.asdict(sink)
    assert values["stages"]["inference"]["p95_ms"] == pytest.approx(1.6 * 11.6)


def test_what_is_no_number_does_not_break_the_page() -> None:
    camera = CameraStatus("gate", SourceState.LIVE, frames_per_second=math.nan, age_ms=math.inf)
    first = status_values(status_of(camera), NOW_NS)["cameras"][0]
    assert first["frames_per_second"] is None
    assert first["age_ms"] is None
    assert first["since_result_ms"] is None


def test_many_viewers_cost_one_status(monkeypatch: pytest.MonkeyPatch) -> None:
    control = FakeControl(FakeCamera("gate"))
    text = StatusText(control)
    assert {text.read() for _ in range(50)} == {text.read()}
    assert control.statuses == 1
    text.forget()
    text.read()
    assert control.statuses == 2
    later = time.monotonic() + 1.0
    monkeypatch.setattr("runtime.web_status.time.monotonic", lambda: later)
    text.read()
    assert control.statuses == 3


def test_places_are_told() -> None:
    zone = Zone("yard", ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9)), "gate")
    line = Line("door", ((0.5, 0.0), (0.5, 1.0)))
    shapes = json.loads(StatusText(FakeControl(), (zone, line)).read())["shapes"]
    assert [shape["kind"] for shape in shapes] == ["zone", "line"]
    assert shapes[0]["camera"] == "gate"
    assert shapes[1] == {
        "kind": "line",
        "name": "door",
        "camera": None,
        "points_xy": [[0.5, 0.0], [0.5, 1.0]],
    }


@pytest.mark.parametrize("state", [s for s in SourceState if s is not SourceState.ENDED])
def test_a_camera_that_is_tried_again_is_healthy(state: SourceState) -> None:
    ended = CameraStatus("yard", SourceState.ENDED)
    assert HealthCheck().problem(status_of(ended, CameraStatus("gate", state)), 1000.0) == ""


def test_a_stream_without_sources_is_not() -> None:
    status = status_of(CameraStatus("yard", SourceState.ENDED))
    assert HealthCheck().problem(status, 0.0) == "every source has ended"


def test_pictures_without_results() -> None:
    check = HealthCheck()
    stuck = status_of(CameraStatus("gate", SourceState.LIVE, results=7))
    assert check.problem(stuck, 1000.0) == ""
    assert check.problem(stuck, 1059.0) == ""
    assert check.problem(stuck, 1061.0) == "pictures arrive, but no result came for 61 s"
    moving = status_of(CameraStatus("gate", SourceState.LIVE, results=8))
    assert check.problem(moving, 1062.0) == ""


def test_a_camera_that_came_back_has_time_for_its_first_result() -> None:
    check = HealthCheck()
    away = status_of(CameraStatus("gate", SourceState.RETRYING, results=7))
    back = status_of(CameraStatus("gate", SourceState.LIVE, results=7))
    assert check.problem(away, 0.0) == ""
    assert check.problem(away, 9000.0) == ""
    assert check.problem(back, 9010.0) == ""
    assert check.problem(back, 9061.0) != ""
