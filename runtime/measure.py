"""Say where every millisecond goes between a camera's picture and its boxes.

python runtime/measure.py build/model-int8.onnxruntime.onnx
python runtime/measure.py A B --frames clip.mp4 --html report.html
python runtime/measure.py A --baseline before.json --fail-if "p99>+5%"
"""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2

from runtime.atomic_file import write_text
from runtime.backends import available_cores
from runtime.budget_judgement import Judgement, exit_status
from runtime.contract import read_contract
from runtime.errors import run_command
from runtime.machine import Machine
from runtime.machine_facts import busy_remark, load_average, machine_facts
from runtime.measure_session import SessionResult, measure_session
from runtime.measure_text import measurement_text
from runtime.measure_verdicts import EarlierRuns, compare_all, earlier_runs, judge_all
from runtime.measured_clip import Clip, find_clip
from runtime.measurement import Comparison, Measurement, Run
from runtime.measurement_file import read_measurement, write_measurement
from runtime.memory_use import GPU_TARGETS
from runtime.notices import print_last, print_notice
from runtime.nvpmodel import PowerMode
from runtime.options_measure import MeasureOptions, parse_options
from runtime.power_modes import confirm, walk_power_modes
from runtime.regression_budget import Budget
from runtime.trt_module import find_gpu


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        sessions: One, or one per power mode.
        comparisons: Of all.
    """

    sessions: tuple[SessionResult, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Of all sessions."""
        return tuple(run for session in self.sessions for run in session.runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if a budget was not kept."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    options = parse_options(words)
    clip = find_clip(options.frames.frames)
    machine = machine_facts() | _gpu_fact(options.model.artifact)
    settings = settings_of(options, clip)
    baseline = options.results.baseline
    earlier = None
    if baseline is not None:
        now = (machine, settings)
        held = read_measurement(baseline)
        earlier = earlier_runs(baseline, held, options.model, now, print_notice)
    if remark := busy_remark(load_average(), available_cores()):
        print_notice(remark.removeprefix("note: "))
    # As in stream.py: OpenCV's own pool would only compete with the network.
    cv2.setNumThreads(1)
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    measured = _measure(options, clip, earlier)
    command = f"python runtime/measure.py {shlex.join(words)}"
    measurement = Measurement(
        command, started, machine, settings, measured.runs, measured.comparisons
    )
    return _tell(options, measurement, measured, earlier)


def _gpu_fact(artifacts: Sequence[Path]) -> dict[str, str]:
    """Return the GPU that an engine among the artifacts will run on, by name."""
    targets = {read_contract(artifact, verify=False).target for artifact in artifacts}
    gpu = find_gpu() if targets & set(GPU_TARGETS) else None
    return {} if gpu is None else {"gpu": gpu.name}


def settings_of(options: MeasureOptions, clip: Clip) -> dict[str, Any]:
    """Return the options that decide what times mean, by name."""
    model, frames, parts = options.model, options.frames, options.parts
    return {
        "frames": clip.name,
        "shown": "once" if frames.once else "from the start again",
        "warmup": frames.warmup,
        "count": frames.count,
        "seconds": frames.seconds,
        "rounds": frames.rounds,
        "threads": model.threads or available_cores(),
        "score": model.score,
        "camera_rate": parts.camera_rate or clip.frame_rate,
        "live_seconds": parts.live_seconds,
        "soak_minutes": parts.soak,
    }


def _measure(options: MeasureOptions, clip: Clip, earlier: EarlierRuns | None) -> Measured:
    """Measure once, or in every power mode."""
    if not options.parts.power_modes:
        session = measure_session(options, clip, print_notice)
        return Measured((session,), compare_all(session.runs, earlier))

    def in_mode(mode: PowerMode) -> SessionResult:
        return measure_session(options, clip, print_notice).named(f"at {mode.name}")

    walked = walk_power_modes(
        Machine(), lambda question: confirm(question, options.parts.yes), in_mode
    )
    sessions = tuple(own.result for own in walked if own.result is not None)
    compared = [compare_all(session.runs, None) for session in sessions]
    return Measured(sessions, tuple(one for own in compared for one in own))


def _write_trace(path: Path, measured: Measured, facts: dict[str, Any]) -> None:
    from runtime.trace_file import write_trace

    frames, layers = {}, {}
    for session in measured.sessions:
        for run, own in zip(session.runs, session.frames, strict=True):
            frames[run.artifact] = own
            if run.layers is not None:
                layers[run.artifact] = run.layers
    samples = [sample for session in measured.sessions for sample in session.device_samples]
    write_trace(path, frames, samples, layers, facts)


def _write_page(path: Path, measurement: Measurement) -> None:
    from runtime.measure_page import page

    write_text(path, page(measurement))


def _tell(
    options: MeasureOptions,
    measurement: Measurement,
    measured: Measured,
    earlier: EarlierRuns | None,
) -> int:
    """Write and print what came out; returns the exit status."""
    results = options.results
    print_last(measurement_text(measurement))  # first: no full disk takes it away
    if results.json is not None:
        write_measurement(measurement, results.json)
    if results.html is not None:
        _write_page(results.html, measurement)
    if results.trace is not None:
        facts = {"command": measurement.command, "started": measurement.started}
        _write_trace(results.trace, measured, facts)
    judgements = _judge(results.fail_if, measured, earlier)
    if judgements:
        print_last("\n".join(own.line for own in judgements))
    return exit_status(judgements)


def _judge(
    budgets: Sequence[Budget], measured: Measured, earlier: EarlierRuns | None
) -> tuple[Judgement, ...]:
    """Judge each session for itself: runs of two power modes did not take turns."""
    each = (judge_all(budgets, session.runs, earlier) for session in measured.sessions)
    return tuple(one for own in each for one in own)


if __name__ == "__main__":
    sys.exit(main())
