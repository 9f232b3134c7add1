"""What a stream tells while it runs and when it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, StreamStatus, StreamSummary

STATUS_EVERY_S = 0.25
CLEAR_LINE = "\r\x1b[K"


class StatusLine:
    """Keeps one line of a terminal up to date, and writes notices above it.

    Where the output is no terminal, only notices appear. Safe to use from several threads.

    Args:
        output: Where to write.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = sys.stderr if output is None else output
        self._active = self._output.isatty()
        self._shown_at = 0.0
        self._lock = threading.Lock()

    def update(self, status: Callable[[], StreamStatus]) -> None:
        """Show the latest figures, if a few times per second are over."""
        now = time.monotonic()
        if not self._active or now - self._shown_at < STATUS_EVERY_S:
            return
        self._shown_at = now
        self._write(CLEAR_LINE + status_text(status()))

    def say(self, line: str) -> None:
        """Write a notice, above the line that is kept up to date."""
        clear = CLEAR_LINE if self._active else ""
        self._write(f"{clear}notice: {line}\n")

    def close(self) -> None:
        """Clear the line."""
        if self._active:
            self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        """Write if somebody still reads: a terminal or log that is gone is no reason to stop."""
        with self._lock, contextlib.suppress(OSError):
            self._output.write(text)
            self._output.flush()


def status_text(status: StreamStatus) -> str:
    """Return the figures of one moment as a line."""
    cameras, network = status.cameras, status.stages.get("network")
    ages = [camera.age_ms for camera in cameras if camera.age_ms is not None]
    parts = [_state_text(cameras), f"{sum(c.frames_per_second for c in cameras):.1f} FPS"]
    if network is not None and ages:
        parts += [f"network {network.p50_ms:.1f} ms", f"age {max(ages):.0f} ms"]
    parts.append(f"{sum(camera.dropped for camera in cameras)} dropped")
    return "  ".join(parts)


def _state_text(cameras: tuple[CameraStatus, ...]) -> str:
    if len(cameras) == 1:
        return f"frame {cameras[0].results}, {cameras[0].state.value}"
    live = sum(camera.state is SourceState.LIVE for camera in cameras)
    away = [f"{c.name} {c.state.value}" for c in cameras if c.state is not SourceState.LIVE]
    return ", ".join([f"{live} of {len(cameras)} live", *away])


def summary_text(summary: StreamSummary) -> str:
    """Return the final figures as small tables for people."""
    lines = [
        f"{summary.frames} frames in {summary.seconds:.2f} s, "
        f"{summary.frames_per_second:.1f} FPS, {summary.dropped} dropped, "
        f"{summary.detections} detections",
        f"{'stage':<17}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'mean ms':>9}",
    ]
    stages = dict(summary.stages)
    stages |= {f"--{s.name}": s.publish_ms for s in summary.sinks if s.publish_ms is not None}
    lines += [
        f"{stage:<17}{s.p50_ms:>9.2f}{s.p95_ms:>9.2f}{s.p99_ms:>9.2f}{s.mean_ms:>9.2f}"
        for stage, s in stages.items()
    ]
    if len(summary.cameras) > 1:
        lines += _camera_rows(summary.cameras)
    lines += [
        f"--{sink.name} had no time for {sink.dropped} of {sink.published + sink.dropped} results"
        for sink in summary.sinks
        if sink.dropped
    ]
    return "\n".join(lines)


def _camera_rows(cameras: tuple[CameraStatus, ...]) -> list[str]:
    width = max(6, *(len(camera.name) for camera in cameras)) + 2
    heads = f"{'camera':<{width}}{'results':>9}{'dropped':>9}{'skipped':>9}{'returns':>9}"
    return [heads] + [
        f"{c.name:<{width}}{c.results:>9}{c.dropped:>9}{c.skipped:>9}{c.reconnects:>9}"
        for c in cameras
    ]


def summary_json(summary: StreamSummary, facts: dict[str, Any]) -> str:
    """Return the final figures as JSON, with ``facts`` such as the artifact's name first."""
    record = {
        **facts,
        "frames": summary.frames,
        "dropped": summary.dropped,
        "detections": summary.detections,
        "seconds": summary.seconds,
        "frames_per_second": summary.frames_per_second,
        "stages": {stage: dataclasses.asdict(s) for stage, s in summary.stages.items()},
        "cameras": [
            dataclasses.asdict(camera) | {"state": camera.state.value} for camera in summary.cameras
        ],
        "sinks": [dataclasses.asdict(sink) for sink in summary.sinks],
    }
    return json.dumps(record, indent=1) + "\n"
