r"""A long stream under ``block``, accelerated: memory must not grow and no result be lost.

python -m benchmarks.streaming_soak --minutes 60
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.common import Goal, Sense
from benchmarks.report import RESULTS, Findings, run_benchmark
from benchmarks.streaming_probes import DrawProbe, Memory, MemoryLog, OrderProbe, ProcessTime
from benchmarks.streaming_setup import (
    CAMERA_RATE,
    CompleteSource,
    camera_input,
    open_synthetic,
)
from runtime.command_line import CommandParser, positive
from runtime.flow import FlowOptions
from runtime.line_files import Rotation
from runtime.option_types import number_from
from runtime.pipeline import Pipeline
from runtime.sink_jsonl import JsonlSink

NAME = "streaming_soak"
NETWORK_MS = 3.0  # ten times a camera of 30 pictures per second
GROWTH_GOAL = 1.01  # memory at the end over that after the first minute
WARMUP_S = 60.0
WINDOW_S = 60.0  # medians of so long are compared
KEPT_EVERY_S = 10.0  # of the memory's course, in the results
LINES = Rotation(size_bytes=16_000_000, age_s=None, keep=4)
DRAW_EVERY = 30  # as a page or a snapshot does


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, metavar="F.json", help=f"default: {RESULTS.name}/{NAME}-<date>")
    add("--minutes", type=number_from(0.01), default=60.0, metavar="N")
    add("--cameras", type=positive, default=4, metavar="N")
    add(
        "--network-ms",
        type=number_from(0.0),
        default=NETWORK_MS,
        metavar="N",
        help="time of the synthetic network, which sets the pace; default %(default)g",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    ends = time.monotonic() + options.minutes * 60.0
    sources = [
        CompleteSource(f"camera {number + 1}", lambda: time.monotonic() >= ends)
        for number in range(options.cameras)
    ]
    order, cpu = OrderProbe(), ProcessTime()
    memory = MemoryLog(options.minutes * 60.0 + WINDOW_S)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "results.jsonl"
        jsonl = JsonlSink(lines, LINES)
        sinks = (order, DrawProbe(DRAW_EVERY), jsonl)
        cameras = [camera_input(source) for source in sources]
        pipeline = Pipeline(cameras, open_synthetic(options.network_ms), sinks, FlowOptions())
        summary = pipeline.run(_watch(pipeline, memory))
        jsonl.close()
        gaps = count_gaps(lines)
    order.finish({source.name: source.delivered for source in sources})
    settings = {
        "minutes": options.minutes,
        "cameras": options.cameras,
        "network_ms": options.network_ms,
        "policy": "block",
        "sinks": [sink.name for sink in sinks],
    }
    facts = {
        "results": dict(order.received),
        "frames_per_second": round(summary.frames_per_second, 1),
        "times_real_time": round(summary.frames_per_second / CAMERA_RATE, 2),
        "pictures_read": order.read_pictures,
        "cores_used": round(cpu.cores_used(), 3),
        "memory": memory_course(memory.samples),
    }
    return Findings(settings, {}, {}, soak_goals(order, gaps, memory.samples), facts)


def _watch(pipeline: Pipeline, memory: MemoryLog) -> Callable[[], None]:
    """Return what to do some times per second: what ``stream.py``'s status line does, too."""

    def tick() -> None:
        pipeline.status()
        memory.tick()

    return tick


def soak_goals(
    order: OrderProbe, gaps: int, samples: Sequence[tuple[float, Memory]]
) -> tuple[Goal, ...]:
    """Return what came out, and what should have."""
    counts = {
        "results lost": sum(order.missing.values()),
        "results reordered or repeated": order.reordered,
        "pictures that are not their result's": order.wrong_pictures,
        "gaps or wrong order in the JSON lines": gaps,
    }
    goals = [Goal(name, float(count), Sense.AT_MOST, 0.0) for name, count in counts.items()]
    for kind in ("resident", "anonymous"):
        growth = growth_after_warmup([(at, getattr(memory, kind)) for at, memory in samples])
        name = f"{kind} memory at the end / after the first minute"
        goals.append(Goal(name, growth, Sense.AT_MOST, GROWTH_GOAL))
    return tuple(goals)


def growth_after_warmup(samples: Sequence[tuple[float, int]]) -> float:
    """Return the median of the last minute over that of the minute after the first.

    Of a run too short for that, the last third of all samples is set against the second.

    Args:
        samples: Seconds since the start, and memory; at least one.
    """
    sizes, end = [size for _, size in samples], samples[-1][0]
    if end >= WARMUP_S + 2 * WINDOW_S:
        first = [size for at, size in samples if WARMUP_S <= at < WARMUP_S + WINDOW_S]
        last = [size for at, size in samples if at >= end - WINDOW_S]
    else:
        third = len(sizes) // 3
        first = sizes[third : max(third + 1, len(sizes) - third)]
        last = sizes[-max(third, 1) :]
    return statistics.median(last) / statistics.median(first)


def memory_course(samples: Sequence[tuple[float, Memory]]) -> dict[str, Any]:
    """Return every tenth second's memory in KiB, and the largest of all."""
    kept: list[tuple[float, Memory]] = []
    for at, memory in samples:
        if not kept or at >= kept[-1][0] + KEPT_EVERY_S:
            kept.append((at, memory))
    return {
        "samples": len(samples),
        "largest_resident_kib": max(memory.resident for _, memory in samples),
        "seconds": [round(at) for at, _ in kept],
        "resident_kib": [memory.resident for _, memory in kept],
        "anonymous_kib": [memory.anonymous for _, memory in kept],
    }


def count_gaps(path: Path) -> int:
    """Return how often, in a rotated file of JSON lines, a camera's next number is not the next.

    Args:
        path: The newest file; older ones lie beside it as ``NAME.1`` and so on.
    """
    older = [path.with_name(f"{path.name}.{number}") for number in range(LINES.keep, 0, -1)]
    newest: dict[str, int] = {}
    gaps = 0
    for part in (*older, path):
        if not part.exists():
            continue
        with part.open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                camera, number = record["camera"], record["frame"]
                gaps += number != newest.get(camera, number - 1) + 1
                newest[camera] = number
    return gaps


if __name__ == "__main__":
    sys.exit(main())
