"""What a stream tells while it runs and when it ends."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections import deque
from typing import Any, TextIO

from runtime.frames import FrameResult
from runtime.pipeline import StreamSummary

STATUS_EVERY_S = 0.25
RATE_OVER_FRAMES = 30
CLEAR_LINE = "\r\x1b[K"


class StatusLine:
    """Keeps one line of a terminal up to date; silent where the output is no terminal.

    Args:
        output: Where to write.
    """

    def __init__(self, output: TextIO = sys.stderr) -> None:
        self._output = output
        self._active = output.isatty()
        self._shown_at = 0.0
        self._presented: deque[float] = deque(maxlen=RATE_OVER_FRAMES)

    def update(self, result: FrameResult, dropped: int) -> None:
        """Show the latest picture's figures, a few times per second."""
        if not self._active:
            return
        now = time.monotonic()
        self._presented.append(now)
        if now - self._shown_at < STATUS_EVERY_S:
            return
        self._shown_at = now
        self._output.write(CLEAR_LINE + self._text(result, dropped))
        self._output.flush()

    def _text(self, result: FrameResult, dropped: int) -> str:
        span = self._presented[-1] - self._presented[0]
        rate = (len(self._presented) - 1) / span if span > 0 else 0.0
        return (
            f"frame {result.frame.sequence}  {rate:.1f} FPS  "
            f"network {result.times_ms['network']:.1f} ms  age {result.times_ms['age']:.0f} ms  "
            f"{len(result.detections)} boxes  {dropped} dropped"
        )

    def close(self) -> None:
        """Clear the line."""
        if self._active:
            self._output.write(CLEAR_LINE)
            self._output.flush()


def summary_text(summary: StreamSummary) -> str:
    """Return the final figures as a small table for people."""
    lines = [
        f"{summary.frames} frames in {summary.seconds:.2f} s, "
        f"{summary.frames_per_second:.1f} FPS, {summary.dropped} dropped, "
        f"{summary.detections} detections",
        f"{'stage':<12}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'mean ms':>9}",
    ]
    lines += [
        f"{stage:<12}{s.p50_ms:>9.2f}{s.p95_ms:>9.2f}{s.p99_ms:>9.2f}{s.mean_ms:>9.2f}"
        for stage, s in summary.stages.items()
    ]
    return "\n".join(lines)


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
    }
    return json.dumps(record, indent=1) + "\n"
