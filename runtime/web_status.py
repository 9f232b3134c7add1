"""What the page shows of a running stream, as JSON, computed once for all viewers."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from typing import Any

from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, SinkStatus, StreamControl, StreamStatus
from runtime.timing import StageSummary
from runtime.zones import Line, Zone

KEEP_S = 0.5  # pages ask every second; percentiles of ten thousand frames are not for nothing
STUCK_AFTER_S = 60.0  # pictures arrive and nothing comes out: no network takes that long


class StatusText:
    """The status as JSON, at most two a second however many ask. Any thread may ask.

    Args:
        control: The running stream.
        places: Zones and lines, to be drawn over the pictures.
    """

    def __init__(self, control: StreamControl, places: Sequence[Zone | Line] = ()) -> None:
        self._control = control
        self._shapes = [shape_values(place) for place in places]
        self._lock = threading.Lock()
        self._text = b""
        self._made_s = -math.inf

    def read(self) -> bytes:
        """Return the JSON, no older than half a second."""
        with self._lock:
            if time.monotonic() - self._made_s > KEEP_S:
                values = status_values(self._control.status(), time.monotonic_ns())
                values["shapes"] = self._shapes
                self._text = json.dumps(values, separators=(",", ":")).encode("ascii")
                self._made_s = time.monotonic()
            return self._text

    def forget(self) -> None:
        """Compute anew when asked next: something was changed."""
        with self._lock:
            self._made_s = -math.inf


def status_values(status: StreamStatus, now_ns: int) -> dict[str, Any]:
    """Return a status as plain values.

    Keys are the names of ``StreamStatus``, ``CameraStatus``, ``SinkStatus`` and ``StageSummary``,
    but for ``last_result_ns``, which becomes ``since_result_ms``. What is no finite number is None.

    Args:
        status: Of the stream.
        now_ns: Monotonic clock.
    """
    return {
        "model": status.model,
        "precision": status.precision,
        "backend": status.backend,
        "score": _number(status.score),
        "seconds": _number(status.seconds),
        "cameras": [_camera_values(camera, now_ns) for camera in status.cameras],
        "sinks": [_sink_values(sink) for sink in status.sinks],
        "stages": {name: _summary_values(summary) for name, summary in status.stages.items()},
    }


def shape_values(place: Zone | Line) -> dict[str, Any]:
    """Return a zone or line as plain values: points are fractions of the picture."""
    return {
        "kind": "zone" if isinstance(place, Zone) else "line",
        "name": place.name,
        "camera": place.camera,
        "points_xy": [list(point) for point in place.points_xy],
    }


class HealthCheck:
    """Says whether a restart would help. Ask again and again, from one thread at a time.

    A stream is well while a camera delivers, or is being connected or tried again: then a restart
    would change nothing. It is not when every source has ended, or when pictures arrive and since
    a minute ago, over two checks or more, nothing has come out of the network.
    """

    def __init__(self) -> None:
        self._results = -1
        self._moved_s = 0.0

    def problem(self, status: StreamStatus, now_s: float) -> str:
        """Return what is wrong; empty if the stream is well.

        Args:
            status: Of the stream.
            now_s: Monotonic clock.
        """
        states = {camera.state for camera in status.cameras} - {SourceState.ENDED}
        if not states:
            return "every source has ended"
        results = sum(camera.results for camera in status.cameras)
        if results != self._results or SourceState.LIVE not in states:
            self._results = results
            self._moved_s = now_s
        if now_s - self._moved_s > STUCK_AFTER_S:
            return f"pictures arrive, but no result came for {now_s - self._moved_s:.0f} s"
        return ""


def _since_ms(camera: CameraStatus, now_ns: int) -> float | None:
    if camera.last_result_ns is None:
        return None
    return max(0.0, (now_ns - camera.last_result_ns) * 1e-6)


def _camera_values(camera: CameraStatus, now_ns: int) -> dict[str, Any]:
    return {
        "name": camera.name,
        "state": camera.state.value,
        "problem": camera.problem,
        "captured": camera.captured,
        "dropped": camera.dropped,
        "skipped": camera.skipped,
        "results": camera.results,
        "detections": camera.detections,
        "reconnects": camera.reconnects,
        "frames_per_second": _number(camera.frames_per_second),
        "age_ms": _number(camera.age_ms),
        "since_result_ms": _number(_since_ms(camera, now_ns)),
        "line_counts": {line: dict(counts) for line, counts in camera.line_counts.items()},
        "zone_counts": dict(camera.zone_counts),
    }


def _sink_values(sink: SinkStatus) -> dict[str, Any]:
    times = None if sink.publish_ms is None else _summary_values(sink.publish_ms)
    return {
        "name": sink.name,
        "published": sink.published,
        "dropped": sink.dropped,
        "problem": sink.problem,
        "publish_ms": times,
    }


def _summary_values(summary: StageSummary) -> dict[str, Any]:
    return {
        "count": summary.count,
        "mean_ms": _number(summary.mean_ms),
        "p50_ms": _number(summary.p50_ms),
        "p95_ms": _number(summary.p95_ms),
        "p99_ms": _number(summary.p99_ms),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 3)
