"""From a new process to first boxes: its parts, and processes that fail."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runtime import cold_start
from runtime.cold_start import (
    ColdStartSettings,
    FreshStart,
    main,
    measure_cold_start,
    start_here,
)
from runtime.errors import ArtifactError, BackendError
from runtime.measurement import ColdStart, Memory
from tests.builders import write_tiny_artifact

MEMORY = Memory(10, 20, 30, None, None)


@pytest.fixture(name="artifact")
def tiny_artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "tiny.onnx")


def test_a_new_process_tells_what_its_start_took(artifact: Path) -> None:
    started = time.monotonic()
    fresh = measure_cold_start(ColdStartSettings(artifact, threads=1), processes=1)
    wall_ms = 1e3 * (time.monotonic() - started)
    cold, memory = fresh.cold_start, fresh.memory
    assert 0 < cold.total_ms < wall_ms
    assert cold.imports_ms > 10  # a new Python, NumPy and OpenCV
    assert 10 << 20 < memory.host_before_open < memory.host_open <= memory.host_peak
    assert memory.device_open is memory.device_running is None


def test_the_process_of_the_median_is_told(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter(FreshStart(ColdStart(ms, 1, 1), MEMORY) for ms in (900.0, 100.0, 300.0))
    monkeypatch.setattr(cold_start, "_start", lambda settings: next(runs))
    assert measure_cold_start(ColdStartSettings(artifact)).cold_start.imports_ms == 300.0


def test_time_counts_from_before_the_process(artifact: Path) -> None:
    second_ago_ns = time.monotonic_ns() - 1_000_000_000
    cold = start_here(ColdStartSettings(artifact, threads=1), second_ago_ns).cold_start
    assert cold.imports_ms >= 1000.0 and cold.open_ms > 0.0 and cold.first_frame_ms > 0.0


def test_the_process_goes_on_counting_from_before_it_was_started(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **named: Any) -> subprocess.CompletedProcess[str]:
        started_ns = int(command[command.index("--started-ns") + 1])
        assert 0 <= time.monotonic_ns() - started_ns < 10e9
        assert "env" not in named  # that of this process
        body = {"cold_start": asdict(ColdStart(1.0, 2.0, 3.0)), "memory": asdict(MEMORY)}
        return subprocess.CompletedProcess(command, 0, f"{json.dumps(body)}\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    fresh = measure_cold_start(ColdStartSettings(artifact))
    assert fresh == FreshStart(ColdStart(1.0, 2.0, 3.0), MEMORY)


def test_the_command_prints_json(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(artifact), "--threads", "1"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert set(body["cold_start"]) == {"imports_ms", "open_ms", "first_frame_ms"}
    assert body["memory"]["host_open"] > 0


def test_an_artifact_that_does_not_open_says_why(artifact: Path) -> None:
    artifact.write_bytes(b"other")
    with pytest.raises(BackendError, match=r"tiny\.onnx does not start in a new process: .*SHA"):
        measure_cold_start(ColdStartSettings(artifact), processes=1)


def test_a_process_that_hangs_is_ended(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "TIMEOUT_S", 0.01)
    with pytest.raises(BackendError, match=r"no result within 0\.01 s .*--no-cold-start"):
        measure_cold_start(ColdStartSettings(artifact), processes=1)


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no file at"):
        start_here(ColdStartSettings(tmp_path / "none.onnx"), 0)
