"""A network in ONNX Runtime against PyTorch eager: frames in, detections out, same threads.

python -m benchmarks.networks
python -m benchmarks.networks --model cornernet-hourglass104
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch

from benchmarks.common import Goal, Samples, Sense, ratio_of, run_rounds, spread_of, timed
from benchmarks.onnxruntime_sessions import ProfiledSession, SpinningSession
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.torch_threads import torch_threads
from detectors.registry import DETECTORS, find_spec
from export.build_engine import BuildRequest, build_engine
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import ExportRequest, add_source_arguments, deploy_module, export_onnx
from export.wrapper import DeployModule
from runtime.backends import open_backend
from runtime.command_line import CommandParser

NAME = "networks"
SPEEDUP_GOAL = 1.3
DECODE_SHARE_GOAL = 0.03
DEFAULT_SEED = 1
DECODE_MODULE = "decode"  # the attribute of DeployModule
ONNX_RUNTIME, DECODE = "ONNX Runtime", "ONNX Runtime, decode alone"
# Our runtime lets waiting threads sleep, since a stream needs the cores elsewhere; a network that
# has the machine to itself may let them spin.
SPINNING = "ONNX Runtime, spinning"
# PyTorch convolves in either layout; which is faster depends on network and processor.
EAGER_LAYOUTS = {
    "PyTorch eager, contiguous": torch.contiguous_format,
    "PyTorch eager, channels last": torch.channels_last,
}
# Runs the detector once; returns boxes, scores, class ids and corner scores.
EagerAction = Callable[[], tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class NetworkRun:
    """What to measure.

    Attributes:
        source: The network and its weights.
        size_hw: Height and width of its input, in pixels.
        threads: CPU threads, of both libraries.
        rounds: Rounds that count.
    """

    source: DetectorSource
    size_hw: tuple[int, int]
    threads: int
    rounds: int


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    parser.add_argument(
        "--model", default="cornernet-squeeze", help=f"one of {', '.join(sorted(DETECTORS))}"
    )
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="input in pixels")
    add_source_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    seed = options.random_weights
    if seed is None and options.weights is None:
        seed = DEFAULT_SEED  # speed does not depend on the weights
    source = DetectorSource(options.model, options.weights, seed)
    size_hw = tuple(options.size or find_spec(options.model).default_size_hw)
    run = NetworkRun(source, size_hw, options.threads, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        samples = measure_network(run, Path(folder))
    settings = {
        "model": options.model,
        "size_hw": size_hw,
        "threads": options.threads,
        "weights": str(options.weights or f"random, seed {seed}"),
    }
    return compare(samples, settings)


def measure_network(run: NetworkRun, folder: Path) -> Samples:
    """Export, build, and let both libraries take turns on one frame of noise.

    Args:
        run: What to measure.
        folder: Receives the model and the profile.
    """
    artifact = build_artifact(run, folder)
    frames = np.random.default_rng(DEFAULT_SEED).integers(0, 256, (1, *run.size_hw, 3), np.uint8)
    profiled = ProfiledSession(artifact, run.threads, folder)
    spinning = SpinningSession(artifact, run.threads)

    def profile() -> dict[str, float]:
        profiled.run(frames)
        return {}

    with (
        contextlib.closing(open_backend(artifact, "onnxruntime", run.threads)) as backend,
        torch_threads(run.threads),
    ):
        turns = [
            timed(ONNX_RUNTIME, lambda: backend.infer(frames)),
            timed(SPINNING, lambda: spinning.run(frames)),
            profile,
        ]
        turns += [timed(label, action) for label, action in eager_actions(run, frames).items()]
        samples = run_rounds(turns, run.rounds)
    samples[DECODE] = profiled.finish(DECODE_MODULE)[-run.rounds :]
    return samples


def build_artifact(run: NetworkRun, folder: Path) -> Path:
    """Export the network and build it for ONNX Runtime; returns the built file."""
    portable, built = folder / "network.onnx", folder / "network.onnxruntime.onnx"
    export_onnx(ExportRequest(run.source, run.size_hw), portable)
    build_engine(BuildRequest(portable, built, "onnxruntime"))
    return built


def eager_actions(run: NetworkRun, frames: np.ndarray) -> dict[str, EagerAction]:
    """Return, by layout, what runs the detector in PyTorch on uint8 (1, H, W, 3)."""
    module = deploy_module(load_detector(run.source), run.source.name)
    batch = torch.from_numpy(frames)
    return {
        label: _eager_action(copy.deepcopy(module).to(memory_format=layout), batch, layout)
        for label, layout in EAGER_LAYOUTS.items()
    }


def _eager_action(
    module: DeployModule, batch: torch.Tensor, layout: torch.memory_format
) -> EagerAction:
    height, width = batch.shape[1:3]

    def action() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            images = module.normalise(batch).contiguous(memory_format=layout)
            found: tuple[torch.Tensor, ...] = module.decode(module.detector(images), height, width)
            return found

    return action


def compare(samples: Samples, settings: dict[str, object]) -> Findings:
    """Set ONNX Runtime against the faster of PyTorch's layouts, and decoding against the whole."""
    ratios = {
        f"{label} / {session}": ratio_of(samples[label], samples[session])
        for session in (ONNX_RUNTIME, SPINNING)
        for label in EAGER_LAYOUTS
    }
    best = min(EAGER_LAYOUTS, key=lambda label: spread_of(samples[label]).median)
    speedups = [
        Goal(
            f"{session} times as fast as {best}",
            ratios[f"{best} / {session}"].of_medians,
            Sense.AT_LEAST,
            SPEEDUP_GOAL,
        )
        for session in (ONNX_RUNTIME, SPINNING)
    ]
    share = ratio_of(samples[DECODE], samples[ONNX_RUNTIME])
    ratios[f"{DECODE} / whole"] = share
    share_goal = Goal("share of decoding", share.of_medians, Sense.AT_MOST, DECODE_SHARE_GOAL)
    return Findings(settings, samples, ratios, (*speedups, share_goal))


if __name__ == "__main__":
    sys.exit(main())
