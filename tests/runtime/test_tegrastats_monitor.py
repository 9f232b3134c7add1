"""The running program: lines that come, end, hang, or never come."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from runtime import tegrastats_monitor
from runtime.errors import BackendError
from runtime.tegrastats_monitor import TegrastatsMonitor
from tests.fakes.devices import tegrastats_lines

LINE = tegrastats_lines()[1]


def program(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", f"import sys, time\nline = {LINE!r}\n{code}"]


def test_the_latest_line_is_the_sample(tmp_path: Path) -> None:
    (tmp_path / "var/lib/nvpmodel").mkdir(parents=True)
    (tmp_path / "var/lib/nvpmodel/status").write_text("pmode:0001")
    code = (
        "print(line, flush=True); time.sleep(0.3)\n"
        "print(line.replace('VDD_IN 4541mW', 'VDD_IN 9000mW'), flush=True); time.sleep(60)"
    )
    monitor = TegrastatsMonitor(program(code), tmp_path, first_line_s=30)
    assert (monitor.total_rail, monitor.power_mode) == ("VDD_IN", "mode 1")
    assert monitor.missing == (
        "throttling: tegrastats does not tell it",
        "memory clock and load: not in the line of tegrastats; run as root to have it",
    )
    before_ns = time.perf_counter_ns()
    while monitor.sample().power_mw["VDD_IN"] != 9000:
        time.sleep(0.01)
    assert before_ns - 30e9 < monitor.sample().at_ns < time.perf_counter_ns()
    monitor.close()
    assert monitor._process.returncode is not None  # waited for: no zombie is left


def test_blank_lines_and_broken_text_are_passed_over() -> None:
    code = (
        "print(); sys.stdout.buffer.write(b'\\xff' * 9 + b'\\n'); print(line, flush=True)\n"
        "time.sleep(60)"
    )
    monitor = TegrastatsMonitor(program(code), first_line_s=30)
    while "VDD_IN" not in monitor.sample().power_mw:
        time.sleep(0.01)
    monitor.close()


def test_a_line_that_is_too_old_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = TegrastatsMonitor(program("print(line, flush=True); time.sleep(60)"), first_line_s=30)
    monkeypatch.setattr(tegrastats_monitor, "OLDEST_LINE_S", 0.0)
    assert monitor.sample().power_mw == {}
    monitor.close()


def test_a_program_that_ends_leaves_its_last_line_and_closes_without_waiting() -> None:
    monitor = TegrastatsMonitor(program("print(line)"), first_line_s=30)
    assert monitor.sample().power_mw["VDD_IN"] == 4541
    monitor.close()
    monitor.close()


def test_a_program_that_says_nothing_is_an_error_at_once() -> None:
    with pytest.raises(BackendError, match="printed nothing in 30 s; expected a line"):
        TegrastatsMonitor(program("sys.exit(1)"), first_line_s=30)


def test_a_program_that_hangs_is_an_error_after_a_while() -> None:
    with pytest.raises(BackendError, match=r"printed nothing in 0\.01 s"):
        TegrastatsMonitor(program("time.sleep(60)"), first_line_s=0.01)


def test_an_absent_program_is_an_error() -> None:
    with pytest.raises(BackendError, match=r"tegrastats-x cannot be run .*device itself"):
        TegrastatsMonitor(["tegrastats-x"])


def test_a_line_without_power_says_what_would_help() -> None:
    code = "print('RAM 1/2MB CPU [1%@5]', flush=True); time.sleep(60)"
    monitor = TegrastatsMonitor(program(code), first_line_s=30)
    assert monitor.total_rail is None
    expected = "the line of tegrastats has no power, no known total; run as root to have it"
    assert f"energy per frame: {expected}" in monitor.missing
    assert "temperatures: not in the line of tegrastats" in monitor.missing
    monitor.close()
