"""The status line and the final figures."""

from __future__ import annotations

import io
import json

import numpy as np

from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.pipeline import StreamSummary
from runtime.stream_report import StatusLine, summary_json, summary_text
from runtime.timing import StageSummary

SUMMARY = StreamSummary(
    frames=50,
    dropped=3,
    detections=120,
    seconds=2.0,
    stages={"network": StageSummary(50, 12.5, 12.0, 20.0, 30.0)},
)
RESULT = FrameResult(
    Frame(np.zeros((2, 2, 3), np.uint8), "x", 41, 0),
    Detections.empty(),
    {"network": 12.3, "age": 45.6},
)


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_replaced_and_cleared() -> None:
    terminal = Terminal()
    status = StatusLine(terminal)
    for _ in range(5):  # faster than it refreshes: shown once
        status.update(RESULT, dropped=7)
    text = terminal.getvalue()
    assert text.count("frame 41") == 1
    assert "network 12.3 ms" in text
    assert "7 dropped" in text
    assert "\n" not in text
    status.close()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_file_gets_nothing() -> None:
    output = io.StringIO()
    status = StatusLine(output)
    status.update(RESULT, dropped=0)
    status.close()
    assert output.getvalue() == ""


def test_the_summary_for_people() -> None:
    first, header, network = summary_text(SUMMARY).splitlines()
    assert first == "50 frames in 2.00 s, 25.0 FPS, 3 dropped, 120 detections"
    assert header.split() == ["stage", "p50", "ms", "p95", "ms", "p99", "ms", "mean", "ms"]
    assert network.split() == ["network", "12.00", "20.00", "30.00", "12.50"]


def test_the_summary_for_programs() -> None:
    record = json.loads(summary_json(SUMMARY, {"model": "tiny"}))
    assert record["model"] == "tiny"
    assert record["frames_per_second"] == 25.0
    assert record["stages"]["network"]["p95_ms"] == 20.0
