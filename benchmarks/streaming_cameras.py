r"""Live cameras under ``latest``: how old results are, what is dropped, and who gets how much.

python -m benchmarks.streaming_cameras --cameras 1 4 --synthetic-ms 10 30 \
  --artifact build/cornernet-nano-320x320-int8.onnxruntime.onnx
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from benchmarks.common import Goal, Samples, Sense, Turn, run_rounds
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.streaming_probes import AgeProbe, ProcessTime, age_figures, read_memory
from benchmarks.streaming_setup import CAMERA_RATE, counted, open_networks, pattern_cameras
from runtime.backend_base import Backend
from runtime.command_line import CommandParser, positive
from runtime.flow import FlowOptions
from runtime.option_types import number_from
from runtime.pipeline import Pipeline
from runtime.stream_status import StreamSummary

NAME = "streaming_cameras"
FRAME_TIMES = 2.0  # the oldest of a hundred results, beyond the network's own time
SHARE_GOAL = 0.05  # a camera's results may lie so far from the mean of all
WARMUP_S = 1.0


@dataclass
class Course:
    """What came out of one network and number of cameras, over all rounds that count.

    Attributes:
        ages_ms: Of every result, by camera.
        network_ms: Of every result.
        rounds: Results by camera, of each round.
        captured: Pictures that cameras delivered.
        dropped: Of these, lost because the network was busy.
        cores_used: Cores that the process kept busy, of each round.
        resident_mib: Memory at the end of each round.
    """

    ages_ms: dict[str, list[float]] = field(default_factory=dict)
    network_ms: list[float] = field(default_factory=list)
    rounds: list[dict[str, int]] = field(default_factory=list)
    captured: int = 0
    dropped: int = 0
    cores_used: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)

    def add(self, probe: AgeProbe, summary: StreamSummary, cores_used: float) -> None:
        """Add one round."""
        for camera, ages in probe.ages_ms.items():
            self.ages_ms.setdefault(camera, []).extend(ages)
        self.network_ms += probe.network_ms
        self.rounds.append({camera: len(ages) for camera, ages in probe.ages_ms.items()})
        self.captured += sum(camera.captured for camera in summary.cameras)
        self.dropped += summary.dropped
        self.cores_used.append(round(cores_used, 3))
        self.resident_mib.append(round(read_memory().resident / 1024, 1))

    @property
    def all_ages_ms(self) -> list[float]:
        """Ages over all cameras."""
        return [age for ages in self.ages_ms.values() for age in ages]

    @property
    def largest_deviation(self) -> float:
        """How far the results of one camera lie from the mean of all, at most."""
        return deviation([len(ages) for ages in self.ages_ms.values()])

    def facts(self) -> dict[str, Any]:
        """Return what was found, ready for JSON."""
        return {
            "age": age_figures(self.all_ages_ms),
            "age_p99_ms_by_camera": {
                name: age_figures(ages)["p99_ms"] for name, ages in self.ages_ms.items()
            },
            "network_p50_ms": round(float(np.median(self.network_ms)), 2),
            "results_by_camera": {name: len(ages) for name, ages in self.ages_ms.items()},
            "largest_deviation": round(self.largest_deviation, 4),
            "largest_deviation_in_a_round": round(
                max(deviation(list(counts.values())) for counts in self.rounds), 4
            ),
            "captured": self.captured,
            "dropped": self.dropped,
            "cores_used": self.cores_used,
            "resident_mib": self.resident_mib,
        }


def deviation(counts: Sequence[int]) -> float:
    """Return how far the farthest count lies from the mean of all, as a share of it."""
    mean = sum(counts) / len(counts)
    return max(abs(count - mean) for count in counts) / mean


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--artifact", type=Path, nargs="+", default=[], metavar="F", help="one or more")
    add("--synthetic-ms", type=number_from(0.1), nargs="+", default=[], metavar="N")
    add("--cameras", type=positive, nargs="+", default=[1, 4], metavar="N", help="how many")
    add("--seconds", type=number_from(0.1), default=10.0, metavar="N", help="of each turn")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    with contextlib.ExitStack() as stack:
        networks = open_networks(options, stack)
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(1)  # as stream.py does
        courses: dict[tuple[str, int], Course] = {
            (label, count): Course() for label in networks for count in options.cameras
        }
        turns = [
            live_turn(key, networks[key[0]], options.seconds, course)
            for key, course in courses.items()
        ]
        # Each turn warms up by itself, so that courses hold what counts only.
        samples = run_rounds(turns, options.rounds, warmup=0)
    settings = {
        "camera": f"test pattern, 640x480, {CAMERA_RATE:g} per second",
        "policy": "latest",
        "seconds": options.seconds,
        "threads": options.threads,
    }
    return judge(courses, samples, settings)


def live_turn(key: tuple[str, int], backend: Backend, seconds: float, course: Course) -> Turn:
    """Return a turn that streams live cameras for a while and adds to a course."""
    label, count = key

    def turn() -> dict[str, float]:
        ends = time.monotonic() + WARMUP_S + seconds
        probe, cpu = AgeProbe(WARMUP_S), ProcessTime()
        pipeline = Pipeline(pattern_cameras(count), backend, [probe], FlowOptions())

        def tick() -> None:
            if time.monotonic() >= ends:
                pipeline.request_stop()

        summary = pipeline.run(tick)
        course.add(probe, summary, cpu.cores_used())
        ages = [age for own in probe.ages_ms.values() for age in own]
        figures = age_figures(ages)
        names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
        return {
            f"{label}, {counted(count, 'camera')}, age {name[:-3]}": figures[name] for name in names
        }

    return turn


def judge(
    courses: dict[tuple[str, int], Course], samples: Samples, settings: dict[str, Any]
) -> Findings:
    """Set one camera's ages and several cameras' shares against the goals."""
    goals, facts = [], {}
    for (label, count), course in courses.items():
        name = f"{label}, {counted(count, 'camera')}"
        own = facts[name] = course.facts()
        if count == 1:
            limit = FRAME_TIMES * 1e3 / CAMERA_RATE + own["network_p50_ms"]
            goals.append(Goal(f"{name}, age p99, ms", own["age"]["p99_ms"], Sense.AT_MOST, limit))
        else:
            what = f"{name}, share farthest from the mean"
            goals.append(Goal(what, course.largest_deviation, Sense.AT_MOST, SHARE_GOAL))
    return Findings(settings, samples, {}, tuple(goals), facts)


if __name__ == "__main__":
    sys.exit(main())
