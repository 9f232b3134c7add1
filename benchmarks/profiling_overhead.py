"""What measuring costs: the same frames through the same stages, with and without taking times.

All ways share one backend and take turns frame by frame, each on its own copy of the clip, so that
they see the same pictures and the same minute of the machine; which one is first changes from frame
to frame. The way without does what a stream without measuring would: no clock, no spans, no ranges.
The figure is the median ratio of the two frames of one picture: on a busy machine a ratio of
medians is off by more than what is looked for. A second way without is the control: how far two
equal ways are apart is what this machine can tell. The device's sensors are not part of it: they
are read beside the frames, by another thread.

python -m benchmarks.profiling_overhead --artifact build/model-int8.onnxruntime.onnx
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from benchmarks.common import Goal, Samples, Sense, Turn, run_rounds, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from runtime.backend_base import Backend
from runtime.backends import open_backend
from runtime.command_line import CommandParser, positive
from runtime.errors import UsageError
from runtime.journey import FrameSequence, drawn_result
from runtime.measured_clip import Clip, ClipReader, find_clip
from runtime.nvtx_ranges import StageRange, open_ranges
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.round_bootstrap import figure_intervals
from runtime.sink_jsonl import JsonlSink
from runtime.spans import FrameSpans
from runtime.stage_clock import ReadSpans

NAME = "profiling_overhead"
ARTIFACT = Path("build/cornernet-nano-320x320-int8.onnxruntime.onnx")
RECORDED, PLAIN, CONTROL = "recorded", "plain", "plain again"
OVERHEAD_GOAL = 1.01  # at most 1 % of a frame's time
FRAMES_PER_ROUND = 100
SCORE = 0.3  # as measure.py
STAGES_ON_A_PROCESSOR = ("capture", "letterbox", "network", "soft-NMS", "draw", "publish")
SPAN_CALLS = 20_000
SPAN_REPEATS = 7

TakeFrame = Callable[[], object]


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--artifact", type=Path, default=ARTIFACT, metavar="F", help="default: %(default)s")
    add("--clip", metavar="CLIP", help="default: the demo's clip, else test://")
    add(
        "--frames",
        type=positive,
        default=FRAMES_PER_ROUND,
        metavar="N",
        help="frames of each way per round; default %(default)s",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


@dataclass(frozen=True)
class PlainFrames:
    """Frames on the way of ``FrameSequence``, as nobody looks.

    Attributes:
        backend: Open.
        reader: Where pictures come from.
        postprocess: What to keep of the network's boxes.
        sink: Gets every result.
    """

    backend: Backend
    reader: ClipReader
    postprocess: PostprocessOptions
    sink: JsonlSink

    def next_frame(self) -> None:
        """Take the next picture from its source to the sink."""
        frame, _ = self.reader.read()
        prepared = self.backend.prepare(frame.image)
        outputs = self.backend.infer_prepared(prepared)
        found = detections_from_raw(outputs, prepared.letterbox, self.postprocess)
        self.sink.publish(drawn_result(frame, found, self.backend.contract.class_names))


@contextlib.contextmanager
def open_ways(artifact: Path, clip: Clip, threads: int) -> Iterator[dict[str, TakeFrame]]:
    """Open one artifact, and yield what takes a frame, by way.

    Raises:
        CornerRTError: If the artifact or the clip cannot be opened.
    """
    with contextlib.ExitStack() as opened:
        backend = opened.enter_context(contextlib.closing(open_backend(artifact, threads=threads)))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        options = PostprocessOptions(SCORE).suited_to(backend.contract.decode)

        def reader_and_sink(label: str) -> tuple[ClipReader, JsonlSink]:
            sink = JsonlSink(folder / f"{label}.jsonl")
            opened.callback(sink.discard)
            return opened.enter_context(contextlib.closing(ClipReader(clip))), sink

        reader, sink = reader_and_sink(RECORDED)
        ways: dict[str, TakeFrame] = {
            RECORDED: FrameSequence(backend, reader, options, sink).next_frame
        }
        for label in (PLAIN, CONTROL):
            reader, sink = reader_and_sink(label)
            ways[label] = PlainFrames(backend, reader, options, sink).next_frame
        yield ways


class RoundsInTurns:
    """Rounds in which ways take turns frame by frame.

    Args:
        ways: What takes the next frame, by label.
        frames: Of each way per round.

    Attributes:
        frames_ms: Milliseconds of every frame of each way, by round, warm-up rounds too.
    """

    def __init__(self, ways: Mapping[str, TakeFrame], frames: int) -> None:
        self._turns = [timed(label, action) for label, action in ways.items()]
        self._frames = frames
        self.frames_ms: dict[str, list[list[float]]] = {label: [] for label in ways}

    def __call__(self) -> dict[str, float]:
        """Measure one round; returns each way's median."""
        times: dict[str, list[float]] = {label: [] for label in self.frames_ms}
        order: list[Turn] = list(self._turns)
        for _ in range(self._frames):
            for turn in order:
                for label, milliseconds in turn().items():
                    times[label].append(milliseconds)
            order.append(order.pop(0))
        for label, own in times.items():
            self.frames_ms[label].append(own)
        return {label: float(np.median(own)) for label, own in times.items()}


def span_costs_ns() -> dict[str, float]:
    """Return what single steps of taking times cost, the lowest of several means each.

    The lowest is the step itself: everything else on the machine only adds.
    """
    steps: dict[str, Callable[[], object]] = {
        "readings of one frame": _read_frame,
    }
    with contextlib.suppress(UsageError):  # nvtx is not installed
        steps["one range, nvtx without a tool"] = _range_calls(open_ranges())
    return {
        f"{name}, ns": round(
            min(timeit.repeat(step, number=SPAN_CALLS, repeat=SPAN_REPEATS)) / SPAN_CALLS * 1e9
        )
        for name, step in steps.items()
    }


def _read_frame() -> FrameSpans:
    """Do what ``FrameSequence`` does beside the stages of a frame."""
    readings = tuple((stage, time.perf_counter_ns()) for stage in STAGES_ON_A_PROCESSOR)
    ended_ns = readings[-1][1]
    return FrameSpans(0, False, ReadSpans(ended_ns, readings), ended_ns, ended_ns)


def _range_calls(stage: StageRange) -> Callable[[], None]:
    def enter_range() -> None:
        with stage("network"):
            pass

    return enter_range


def compare(
    samples: Samples, frames_ms: Mapping[str, list[list[float]]], settings: dict[str, object]
) -> Findings:
    """Set the way with times, and the control, against the one without.

    Args:
        samples: Each way's median, by round.
        frames_ms: Each way's frames, by round that counts.
        settings: What was run.
    """
    found = {}
    for label in (RECORDED, CONTROL):
        pairs = zip(frames_ms[label], frames_ms[PLAIN], strict=True)
        ratios = [(np.array(own) / np.array(plain)).tolist() for own, plain in pairs]
        found[label] = figure_intervals(ratios, ("p50",))["p50"]
    facts = {
        f"{label} / {PLAIN}: median, 95 % interval": (ratio.value, ratio.low, ratio.high)
        for label, ratio in found.items()
    }
    goal = Goal(f"{RECORDED} / {PLAIN}", found[RECORDED].value, Sense.AT_MOST, OVERHEAD_GOAL)
    return Findings(settings, samples, {}, (goal,), facts | span_costs_ns())


def _measure(options: argparse.Namespace) -> Findings:
    clip = find_clip(options.clip)
    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as measure.py
    try:
        with open_ways(options.artifact, clip, options.threads) as ways:
            rounds = RoundsInTurns(ways, options.frames)
            samples = run_rounds([rounds], options.rounds)  # its warm-up rounds warm all ways up
    finally:
        cv2.setNumThreads(threads_before)
    settings = {
        "artifact": options.artifact.name,
        "clip": Path(clip.name).name,
        "frames per round": options.frames,
        "threads": options.threads,
    }
    counted = {label: own[-options.rounds :] for label, own in rounds.frames_ms.items()}
    return compare(samples, counted, settings)


if __name__ == "__main__":
    sys.exit(main())
