"""The command: what it prints and writes, its exit status, and bad input in one line."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from runtime import device_monitor, measure
from runtime.measure import main
from runtime.measure_session import SessionResult
from runtime.measurement import Measurement
from runtime.measurement_file import read_measurement
from runtime.nvpmodel import PowerMode
from runtime.power_modes import ModeRun
from runtime.trt_module import Gpu
from tests.builders import write_tiny_artifact, write_video
from tests.fakes.fake_tensorrt import write_tiny_engine

FAST = (
    "--warmup 1 --count 14 --rounds 7 --live-seconds 0 --batches 0 --no-cold-start --threads 1 "
    "--frames test://64x48"
).split()


@pytest.fixture(name="artifact")
def tiny_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(device_monitor, "open_monitor", lambda root: None)
    return str(write_tiny_artifact(tmp_path / "tiny.onnx"))


def measured(artifact: str, path: Path, *words: str) -> Measurement:
    assert main([artifact, *FAST, "--json", str(path), *words]) == 0
    return read_measurement(path)


def test_figures_are_printed_and_written_everywhere(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, trace = tmp_path / "m.html", tmp_path / "t.json"
    words = ("--html", str(page), "--trace", str(trace), "--layers")
    made = measured(artifact, tmp_path / "m.json", *words)
    assert "14 frames, ms" in capsys.readouterr().out
    assert page.read_text().startswith("<!DOCTYPE html>")
    events = json.loads(trace.read_text())["traceEvents"]
    assert sum(event["name"].startswith("frame ") for event in events) == 14
    assert any(event.get("cat") == "layer" for event in events)
    assert made.command.startswith(f"python runtime/measure.py {artifact} --warmup 1")
    assert made.settings["frames"] == "test://64x48" and made.settings["threads"] == 1
    assert made.machine["gpu"] == "none used" and made.started[:2] == "20"


def test_the_commands_words_repeat_it(artifact: str, tmp_path: Path) -> None:
    made = measured(artifact, tmp_path / "with space.json")
    assert made.command.endswith(f"'{tmp_path / 'with space.json'}'")


def test_a_short_clip_is_said_to_be_repeated(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / "v.mp4", frames=4)
    assert main([artifact, *FAST, "--frames", str(clip), "--warmup", "9"]) == 0
    assert "has 4 pictures, no more than the 9 of the warm-up" in capsys.readouterr().err


def test_two_artifacts_are_compared(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(write_tiny_artifact(tmp_path / "other.onnx"))
    assert main([artifact, other, *FAST]) == 0
    out = capsys.readouterr().out
    assert f"{other} against {artifact}, ratio of times" in " ".join(out.split())
    assert "  network p99 " in out


def test_a_budget_decides_on_the_exit_status(
    artifact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([artifact, *FAST, "--fail-if", "max>60000ms"]) == 0
    assert "kept" in capsys.readouterr().out
    assert main([artifact, *FAST, "--fail-if", "max>0.0001ms"]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_an_earlier_measurement_is_a_baseline(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before.json"
    measured(artifact, before)
    made = measured(artifact, tmp_path / "after.json", "--baseline", str(before))
    assert {one.baseline for one in made.comparisons} == {str(before)}
    assert f"notice: --baseline {before}: " in capsys.readouterr().err


def test_a_baseline_of_another_number_of_threads_is_refused(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before.json"
    measured(artifact, before)
    assert main([artifact, *FAST, "--threads", "2", "--baseline", str(before)]) == 2
    assert "was measured with threads 1; got 2 now" in capsys.readouterr().err


def test_each_power_mode_is_a_run_of_its_own(
    artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = [PowerMode(0, "15W"), PowerMode(1, "7W"), PowerMode(2, "25W")]

    def walk(machine: object, ask: object, work: object) -> list[ModeRun[SessionResult]]:
        left_out: ModeRun[SessionResult] = ModeRun(modes[2], None, "it needs a reboot")
        return [*(ModeRun(mode, work(mode), "") for mode in modes[:2]), left_out]  # type: ignore[operator]

    monkeypatch.setattr(measure, "walk_power_modes", walk)
    trace = tmp_path / "t.json"
    made = measured(artifact, tmp_path / "m.json", "--power-modes", "--yes", "--trace", str(trace))
    assert [run.artifact for run in made.runs] == [f"{artifact} at 15W", f"{artifact} at 7W"]
    assert f"{artifact} at 7W" in trace.read_text()


def test_budgets_of_a_power_mode_are_judged_within_it(
    artifact: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    modes = [PowerMode(0, "15W"), PowerMode(1, "7W")]

    def walk(machine: object, ask: object, work: object) -> list[ModeRun[SessionResult]]:
        return [ModeRun(mode, work(mode), "") for mode in modes]  # type: ignore[operator]

    monkeypatch.setattr(measure, "walk_power_modes", walk)
    other = str(write_tiny_artifact(tmp_path / "other.onnx"))
    words = ["--power-modes", "--yes", "--fail-if", "max>+100000%"]
    assert main([artifact, other, *FAST, *words]) == 0
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("budget ")]
    assert len(lines) == 2
    for line, mode in zip(lines, ("15W", "7W"), strict=True):
        assert f"kept: {other} at {mode}: " in line and f"against {artifact} at {mode}" in line


def test_figures_are_told_even_if_a_file_cannot_be_written(
    artifact: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(measure, "write_text", full)
    assert main([artifact, *FAST, "--html", str(tmp_path / "m.html")]) == 2
    told = capsys.readouterr()
    assert "14 frames, ms" in told.out and "No space left on device" in told.err


def test_the_gpu_of_an_engine_is_a_fact_of_the_machine(
    tmp_path: Path, artifact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine")
    monkeypatch.setattr(measure, "find_gpu", lambda: Gpu("Orin", "8.7"))
    assert measure._gpu_fact([Path(artifact)]) == {}
    assert measure._gpu_fact([Path(artifact), engine]) == {"gpu": "Orin"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "none.mp4"], "no file at none.mp4; expected a video"),
        (["--frames", "test://?frames=0"], "holds no picture; expected at least one"),
        (["--once", "--frames", "test://?frames=1"], "has 1 picture; expected more than the 2"),
        (["--baseline", "none.json"], "none.json cannot be read (No such file or directory)"),
        (["--backend", "tensorrt"], "tensorrt runs tensorrt artifacts only"),
        (["--json", "a.txt"], "--json got a.txt; expected a name that ends in .json"),
        (["--power-modes"], "found no power modes"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    artifact: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([artifact, *FAST, *words]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]


def test_an_engine_without_a_gpu_and_a_missing_artifact_are_one_line(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine")
    assert main([str(engine), *FAST]) == 2
    assert "no backend here runs a 'tensorrt' artifact" in capsys.readouterr().err
    assert main([str(tmp_path / "none.onnx"), *FAST]) == 2
    assert "error: no file at" in capsys.readouterr().err


def test_a_baseline_of_another_version_is_one_line(
    artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"
    old.write_text('{"format": "cornerrt-measurement-0"}')
    assert main([artifact, *FAST, "--baseline", str(old)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "says format 'cornerrt-measurement-0'; expected 'cornerrt-measurement-1'" in line
