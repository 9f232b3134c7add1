r"""A stream end to end, through the runtime's own pipeline, against its slowest stage alone.

python -m benchmarks.streaming --video build/demo/clip.mp4 --synthetic-ms 20 \
  --artifact build/cornernet-nano-320x320-int8.onnxruntime.onnx
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds, spread_of
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.stages_alone import (
    ALL_STAGES,
    DRAWN_STAGES,
    StagesAlone,
    open_only_sinks,
    open_only_source,
    read_frames,
)
from benchmarks.streaming_probes import DrawProbe
from benchmarks.streaming_setup import SYNTHETIC, camera_input, open_networks
from runtime.backend_base import Backend
from runtime.command_line import CommandParser, positive
from runtime.flow import FlowOptions
from runtime.option_types import number_from
from runtime.options import StreamOptions, parse_options
from runtime.pipeline import Pipeline

NAME = "streaming"
FPS_GOAL = 40.0  # of nano on two cores
OVERHEAD_GOAL = 1.05  # wall time of a frame over its slowest stage alone
DRAWN, SAVED = "stream, drawn", "stream, MP4 and JSON lines"


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--artifact", type=Path, nargs="+", default=[], metavar="F", help="one or more")
    add(
        "--synthetic-ms",
        type=number_from(0.1),
        nargs="+",
        default=[],
        metavar="N",
        help="networks that take so long and leave the processor to others",
    )
    add("--video", type=Path, required=True, metavar="FILE")
    add("--max-frames", type=positive, metavar="N", help="use the clip's first N frames only")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    drawn = stream_options(options)
    frames = read_frames(drawn)
    turns: list[Turn] = []
    with contextlib.ExitStack() as stack:
        networks = open_networks(options, stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(1)  # as stream.py does
        saved = stream_options(options, folder)
        for label, backend in networks.items():
            turns.append(stream_turn(f"{label} {DRAWN}", drawn, backend))
            turns.append(stream_turn(f"{label} {SAVED}", saved, backend))
            turns.append(alone_turn(label, StagesAlone(saved, backend, frames)))
        digests = {label: own.contract.artifact_sha256 for label, own in networks.items()}
        samples = run_rounds(turns, options.rounds)
    settings = {
        "video": options.video.name,
        "frames": len(frames),
        "threads": options.threads,
        "artifact_sha256": digests,
    }
    return compare(samples, list(networks), settings)


def stream_options(options: argparse.Namespace, save_in: Path | None = None) -> StreamOptions:
    """Return what ``stream.py`` would read from its command line.

    Args:
        options: The benchmark's.
        save_in: Folder for an annotated video and JSON lines; None to draw only.
    """
    words = ["--video", str(options.video)]
    if options.max_frames is not None:
        words += ["--max-frames", str(options.max_frames)]
    if save_in is not None:
        words += ["--save", str(save_in / "out.mp4"), "--jsonl", str(save_in / "out.jsonl")]
    return parse_options(words)


def stream_turn(label: str, options: StreamOptions, backend: Backend) -> Turn:
    """Return a turn that streams the whole clip; measures wall time per frame."""

    def turn() -> dict[str, float]:
        source = open_only_source(options)
        flow = FlowOptions(max_frames=options.model.max_frames)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(source.close)
            sinks = open_only_sinks(options, source, backend, cleanup) or [DrawProbe()]
            summary = Pipeline([camera_input(source)], backend, sinks, flow).run()
        return {label: summary.seconds * 1e3 / summary.frames}

    return turn


def alone_turn(label: str, stages: StagesAlone) -> Turn:
    """Return a turn that measures every stage alone."""
    return lambda: {alone_label(label, s): ms for s, ms in stages.measure().items()}


def alone_label(label: str, stage: str) -> str:
    """Return the name of a stage's samples."""
    return f"{label} alone, {stage}"


def compare(samples: Samples, labels: Sequence[str], settings: dict[str, Any]) -> Findings:
    """Set each stream against its slowest stage alone and against the goals."""
    ratios, goals, rates = {}, [], {}
    for label in labels:
        for kind, stages in ((DRAWN, DRAWN_STAGES), (SAVED, ALL_STAGES)):
            name = f"{label} {kind}"
            slowest = slowest_stage(samples, label, stages)
            over = f"{name} / {slowest} alone"
            ratios[over] = ratio_of(samples[name], samples[alone_label(label, slowest)])
            rates[name] = round(1e3 / spread_of(samples[name]).median, 2)
            if kind != DRAWN:
                continue
            if not label.startswith(SYNTHETIC):  # which is as fast as it was asked to be
                goals.append(Goal(f"{name}, FPS", rates[name], Sense.AT_LEAST, FPS_GOAL))
            goals.append(Goal(over, ratios[over].of_medians, Sense.AT_MOST, OVERHEAD_GOAL))
    facts = {"frames_per_second": rates}
    return Findings(settings, samples, ratios, tuple(goals), facts)


def slowest_stage(samples: Samples, label: str, stages: Sequence[str]) -> str:
    """Return the stage with the largest median when measured alone."""
    return max(stages, key=lambda stage: spread_of(samples[alone_label(label, stage)]).median)


if __name__ == "__main__":
    sys.exit(main())
