"""The status line, notices and the final figures."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from runtime import stream_report
from runtime.source_state import SourceState
from runtime.stream_report import StatusLine, status_text, summary_json, summary_text
from runtime.stream_status import CameraStatus, SinkStatus, StreamStatus, StreamSummary
from runtime.timing import StageSummary

NETWORK = StageSummary(50, 12.5, 12.0, 20.0, 30.0)
GATE = CameraStatus(
    "gate", SourceState.LIVE, results=41, dropped=7, frames_per_second=24.96, age_ms=45.6
)
YARD = CameraStatus("yard", SourceState.RETRYING, "no route to host", results=9, reconnects=2)
STATUS = StreamStatus("tiny", "int8", "onnxruntime", 0.3, 2.0, (GATE,), (), {"network": NETWORK})
SUMMARY = StreamSummary(50, 3, 120, 2.0, {"network": NETWORK}, (GATE,), ())


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_replaced_and_cleared() -> None:
    terminal, asked = Terminal(), []
    line = StatusLine(terminal)

    def status() -> StreamStatus:
        asked.append(1)
        return STATUS

    for _ in range(5):  # faster than it refreshes: shown, and asked for, once
        line.update(status)
    text = terminal.getvalue()
    assert len(asked) == 1
    for part in ("frame 41, live", "25.0 FPS", "network 12.0 ms", "age 46 ms", "7 dropped"):
        assert part in text
    assert "\n" not in text
    line.close()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_it_is_refreshed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    line = StatusLine(terminal)
    monkeypatch.setattr(stream_report, "STATUS_EVERY_S", 0.0)
    line.update(lambda: STATUS)
    line.update(lambda: STATUS)
    assert terminal.getvalue().count("frame 41") == 2


def test_a_notice_stands_above_the_line() -> None:
    terminal = Terminal()
    line = StatusLine(terminal)
    line.update(lambda: STATUS)
    line.say("gate is back")
    assert terminal.getvalue().endswith("\r\x1b[Knotice: gate is back\n")


def test_a_file_gets_notices_only() -> None:
    output = io.StringIO()
    line = StatusLine(output)
    line.update(lambda: STATUS)
    line.say("gate is back")
    line.close()
    assert output.getvalue() == "notice: gate is back\n"


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    line = StatusLine(Gone())
    line.say("gate was unplugged")
    line.update(lambda: STATUS)
    line.close()


def test_several_cameras_and_those_that_are_away() -> None:
    text = status_text(replace(STATUS, cameras=(GATE, YARD)))
    assert text.startswith("1 of 2 live, yard retrying  25.0 FPS")


def test_before_the_first_result() -> None:
    fresh = replace(STATUS, cameras=(CameraStatus("gate", SourceState.CONNECTING),), stages={})
    assert status_text(fresh) == "frame 0, connecting  0.0 FPS  0 dropped"


def test_the_summary_for_people() -> None:
    first, header, network = summary_text(SUMMARY).splitlines()
    assert first == "50 frames in 2.00 s, 25.0 FPS, 3 dropped, 120 detections"
    assert header.split() == ["stage", "p50", "ms", "p95", "ms", "p99", "ms", "mean", "ms"]
    assert network.split() == ["network", "12.00", "20.00", "30.00", "12.50"]


def test_the_summary_of_several_cameras_and_sinks() -> None:
    sinks = (SinkStatus("jsonl", 50, 0, "", NETWORK), SinkStatus("mqtt", 40, 10), SinkStatus("csv"))
    text = summary_text(replace(SUMMARY, cameras=(GATE, YARD), sinks=sinks))
    rows = [line.split() for line in text.splitlines()]
    assert ["--jsonl", "12.00", "20.00", "30.00", "12.50"] in rows
    assert ["gate", "41", "7", "0", "0"] in rows
    assert ["yard", "9", "0", "0", "2"] in rows
    assert text.endswith("--mqtt had no time for 10 of 50 results")


def test_the_summary_for_programs() -> None:
    sinks = (SinkStatus("jsonl", 50, 0, "", NETWORK),)
    summary = replace(SUMMARY, cameras=(GATE, YARD), sinks=sinks)
    record = json.loads(summary_json(summary, {"model": "tiny"}))
    assert record["model"] == "tiny"
    assert record["frames_per_second"] == 25.0
    assert record["stages"]["network"]["p95_ms"] == 20.0
    assert [c["state"] for c in record["cameras"]] == ["live", "retrying"]
    assert record["sinks"][0]["publish_ms"]["p99_ms"] == 30.0
