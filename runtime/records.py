"""A result as plain values: what JSON lines, CSV, messages and the web page are made of."""

from __future__ import annotations

import datetime
import time
from typing import Any

import numpy as np

from runtime.frames import FrameResult

Record = dict[str, Any]


def record_from(result: FrameResult) -> Record:
    """Return a result as values that ``json.dumps`` takes.

    Keys: ``camera``, ``frame`` (number within the camera), ``source``, ``captured_ns`` (monotonic
    clock), ``time`` (of capture, UTC, ISO 8601 with milliseconds), ``age_ms`` (from capture until
    the result was finished), ``image_hw``, and ``detections``, a list of ``class_name``,
    ``class_id``, ``score`` and ``box_xyxy`` in pixels, best first. With tracking each of these has
    a ``track_id``, None as long as it belongs to no object, and the record ``crossings``,
    ``line_counts`` and ``zone_counts``.
    """
    frame = result.frame
    record: Record = {
        "camera": result.camera,
        "frame": frame.sequence,
        "source": frame.source,
        "captured_ns": frame.captured_ns,
        "time": utc_text(captured_at(frame.captured_ns)),
        "age_ms": _age_ms(result),
        "image_hw": list(result.image_hw),
        "detections": _detection_rows(result),
    }
    if result.tracks is not None:
        record["crossings"] = [
            {
                "line": crossing.line,
                "direction": crossing.direction,
                "track_id": crossing.track_id,
                "class_id": crossing.class_id,
                "class_name": result.class_names[crossing.class_id],
            }
            for crossing in result.tracks.crossings
        ]
        record["line_counts"] = result.tracks.line_counts or {}
        record["zone_counts"] = result.tracks.zone_counts or {}
    return record


def captured_at(captured_ns: int) -> datetime.datetime:
    """Return when a picture was captured, UTC, by the wall clock as it goes now.

    The monotonic clock says how long ago that was, so that a wall clock that jumps in between
    shifts the stamp as a whole and never makes an age negative.

    Args:
        captured_ns: Monotonic clock, in nanoseconds.
    """
    age_ns = time.monotonic_ns() - captured_ns
    now = datetime.datetime.now(datetime.timezone.utc)
    return now - datetime.timedelta(microseconds=age_ns // 1000)


def utc_text(moment: datetime.datetime) -> str:
    """Return a moment in UTC as ``2026-11-22T20:50:00.123Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _age_ms(result: FrameResult) -> float:
    """Return the age that the stream measured, or that of now."""
    measured = result.times_ms.get("age")
    if measured is None:
        measured = (time.monotonic_ns() - result.frame.captured_ns) * 1e-6
    return round(measured, 1)


def _detection_rows(result: FrameResult) -> list[Record]:
    """Return the boxes, each with its object's number where tracking is on."""
    found = result.detections
    rows: list[Record] = [
        {
            "class_name": result.class_names[class_id],
            "class_id": class_id,
            "score": score,
            "box_xyxy": box,
        }
        for class_id, score, box in zip(
            found.class_ids.tolist(),
            found.scores.astype(np.float64).round(4).tolist(),
            found.boxes_xyxy.astype(np.float64).round(2).tolist(),
            strict=True,
        )
    ]
    if result.tracks is not None:
        for row, track_id in zip(rows, result.tracks.ids.tolist(), strict=True):
            row["track_id"] = track_id if track_id > 0 else None
    return rows
