"""Results as plain values."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import replace

import numpy as np
import pytest

from runtime import records
from runtime.detections import Detections
from runtime.records import captured_at, record_from, utc_text
from runtime.tracks import Crossing, Tracks
from tests.results import found, result

BOXES = Detections(
    np.float32([[1.234, 2, 30, 40.555], [0, 0, 5, 5]]),
    np.float32([0.98768, 0.5]),
    np.int32([1, 0]),
)
TRACKS = Tracks(
    np.int64([7, -1]), (Crossing("gate", "in", 7, 1),), {"gate": {"in": 3, "out": 0}}, {"yard": 2}
)


def test_a_record_holds_what_was_found() -> None:
    record = record_from(result(7, seconds=1.5, camera="gate", detections=BOXES))
    moment = record.pop("time")
    assert record == {
        "camera": "gate",
        "frame": 7,
        "source": "gate",
        "captured_ns": 1_500_000_000,
        "age_ms": 12.3,
        "image_hw": [48, 64],
        "detections": [
            {
                "class_name": "circle",
                "class_id": 1,
                "score": 0.9877,
                "box_xyxy": [1.23, 2, 30, 40.56],
            },
            {"class_name": "square", "class_id": 0, "score": 0.5, "box_xyxy": [0, 0, 5, 5]},
        ],
    }
    assert json.loads(json.dumps(record)) == record
    assert datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).year >= 2024


def test_without_boxes_and_without_a_picture_there_is_a_record() -> None:
    record = record_from(result(8).without_picture())
    assert (record["detections"], record["image_hw"]) == ([], [48, 64])


def test_tracking_adds_ids_crossings_and_counts() -> None:
    record = json.loads(json.dumps(record_from(result(detections=BOXES, tracks=TRACKS))))
    assert [row["track_id"] for row in record["detections"]] == [7, None]
    assert record["crossings"] == [
        {"line": "gate", "direction": "in", "track_id": 7, "class_id": 1, "class_name": "circle"}
    ]
    assert record["line_counts"] == {"gate": {"in": 3, "out": 0}}
    assert record["zone_counts"] == {"yard": 2}


def test_tracking_without_lines_and_zones_has_empty_counts() -> None:
    record = record_from(result(detections=found((0, 0.5)), tracks=Tracks(np.int64([1]))))
    assert (record["crossings"], record["line_counts"], record["zone_counts"]) == ([], {}, {})


def test_the_stamp_is_the_wall_clock_of_the_capture() -> None:
    age_s = 3.5
    moment = captured_at(time.monotonic_ns() - round(age_s * 1e9))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert age_s - 0.1 <= (now - moment).total_seconds() <= age_s + 20


def test_a_wall_clock_that_jumps_shifts_the_stamp_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(1970, 1, 1, 0, 0, 10, tzinfo=tz)

    shown = result(seconds=time.monotonic() - 4)
    monkeypatch.setattr(records.datetime, "datetime", Clock)
    record = record_from(shown)
    assert "1970-01-01T00:00:0" in record["time"] or record["time"].startswith("1969-12-31T23:59:")
    assert record["age_ms"] == 12.3


def test_an_age_that_nobody_measured_is_that_of_now() -> None:
    shown = replace(result(seconds=time.monotonic() - 2), times_ms={})
    assert 2000 <= record_from(shown)["age_ms"] < 60_000


@pytest.mark.parametrize(
    ("microsecond", "end"), [(0, "07.000Z"), (999, "07.000Z"), (123_456, "07.123Z")]
)
def test_stamps_have_milliseconds(microsecond: int, end: str) -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 7, microsecond, datetime.timezone.utc)
    assert utc_text(moment) == f"2026-01-02T03:04:{end}"
