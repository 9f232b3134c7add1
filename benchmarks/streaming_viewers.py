r"""What viewers of the web page cost the network: rounds with none, one and eight take turns.

python -m benchmarks.streaming_viewers --synthetic-ms 15
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.streaming_probes import PaceProbe
from benchmarks.streaming_setup import CompleteSource, camera_input, counted, open_networks
from runtime.backend_base import Backend
from runtime.command_line import CommandParser, count
from runtime.flow import FlowOptions
from runtime.option_types import number_from
from runtime.options import parse_options
from runtime.pipeline import Pipeline
from runtime.web_view import open_web_server, web_sink

NAME = "streaming_viewers"
CHANGE_GOAL = 1.03  # time per picture with viewers over that without
SETTLE_S = 0.5
READY_TIMEOUT_S = 30.0
CAMERA = "clip"
VIEWER_PROCESS = Path(__file__).with_name("viewer_process.py")


@dataclass(frozen=True)
class Visit:
    """What is measured in one turn.

    Attributes:
        label: Name of the network.
        viewers: How many watch.
        seconds: How long.
    """

    label: str
    viewers: int
    seconds: float

    @property
    def name(self) -> str:
        """Name of the samples."""
        return f"{self.label}, {counted(self.viewers, 'viewer')}"


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--artifact", type=Path, nargs="+", default=[], metavar="F", help="one or more")
    add("--synthetic-ms", type=number_from(0.1), nargs="+", default=[], metavar="N")
    add("--viewers", type=count, nargs="+", default=[0, 1, 8], metavar="N", help="first: none")
    add("--seconds", type=number_from(0.1), default=4.0, metavar="N", help="of each turn")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    pictures: dict[str, list[int]] = {}
    viewers = sorted({0, *options.viewers})
    with contextlib.ExitStack() as stack:
        networks = open_networks(options, stack)
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(1)  # as stream.py does
        turns = [
            visit_turn(Visit(label, many, options.seconds), backend, pictures)
            for label, backend in networks.items()
            for many in viewers
        ]
        samples = run_rounds(turns, options.rounds, warmup=1)
        labels = list(networks)
    settings = {"viewers": viewers, "seconds": options.seconds, "threads": options.threads}
    return compare(samples, labels, viewers, settings | {"pictures_seen": pictures})


def visit_turn(visit: Visit, backend: Backend, pictures: dict[str, list[int]]) -> Turn:
    """Return a turn that measures wall time per result while so many look.

    Args:
        visit: What to measure.
        backend: Open; stays open.
        pictures: Takes how many pictures all viewers got together, by name and turn.
    """

    def turn() -> dict[str, float]:
        with _streaming(backend) as (port, probe):
            with _watching(port, visit.viewers) as seen:
                time.sleep(SETTLE_S)
                per_result_ms = probe.measure(visit.seconds)
            pictures.setdefault(visit.name, []).append(sum(seen))
        return {visit.name: per_result_ms}

    return turn


@contextlib.contextmanager
def _streaming(backend: Backend) -> Iterator[tuple[int, PaceProbe]]:
    """Stream a file at full speed with a web view; gives its port and what counts results."""
    over = threading.Event()
    options = parse_options(["--camera", "test://", "--serve", "0"]).web
    sink, probe = web_sink(options), PaceProbe()
    assert sink is not None
    source = CompleteSource(CAMERA, over.is_set)
    pipeline = Pipeline([camera_input(source)], backend, [probe, sink], FlowOptions())
    with contextlib.redirect_stderr(io.StringIO()):  # where it listens: of no interest
        view = open_web_server(options, sink, pipeline)
    assert view is not None
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        yield view.address.port, probe
    finally:
        over.set()
        thread.join()
        view.close()


@contextlib.contextmanager
def _watching(port: int, viewers: int) -> Iterator[list[int]]:
    """Let viewers look, in a process of their own; the list has what each saw, at the end."""
    seen: list[int] = []
    if viewers == 0:
        yield seen
        return
    path = f"/cameras/{CAMERA}/stream.mjpg"
    process = subprocess.Popen(
        [sys.executable, str(VIEWER_PROCESS), str(port), path, str(viewers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the viewers saw nothing; their reason is above")
        yield seen
        rest, _ = process.communicate("stop\n", READY_TIMEOUT_S)
        seen += [int(number) for number in rest.split()]
    finally:
        process.kill()
        process.communicate()


def compare(
    samples: Samples, labels: Sequence[str], viewers: Sequence[int], settings: dict[str, Any]
) -> Findings:
    """Set every number of viewers against none."""
    ratios = {
        f"{label}, {counted(many, 'viewer')} / none": ratio_of(
            samples[Visit(label, many, 0.0).name], samples[Visit(label, 0, 0.0).name]
        )
        for label in labels
        for many in viewers
        if many
    }
    goals = tuple(
        Goal(name, ratio.of_medians, Sense.AT_MOST, CHANGE_GOAL) for name, ratio in ratios.items()
    )
    pictures = settings.pop("pictures_seen", {})
    return Findings(settings, samples, ratios, goals, {"pictures_seen": pictures})


if __name__ == "__main__":
    sys.exit(main())
