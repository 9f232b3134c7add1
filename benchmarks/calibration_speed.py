r"""Observing ranges, ours against ONNX Runtime's entropy calibrator: images a second, and memory.

Both see the same images and the same tensors, and choose entropy thresholds in the end.

python -m benchmarks.calibration_speed --onnx build/cornernet-nano-320x320-fp32.onnx \
  --images build/shapes/train-more
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.calibration_peer import EntropyPeer
from benchmarks.common import Goal, Samples, Sense, ratio_of, run_rounds, spread_of, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from calibration.observers import Observation, Observer
from calibration.quantize import observable
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod, thresholds_by_method
from export.onnx_graph import load_model
from runtime.command_line import CommandParser, positive
from runtime.contract import read_contract
from runtime.errors import UsageError
from runtime.image_batches import ImageBatches, find_images
from runtime.machine_facts import peak_mib

NAME = "calibration_speed"
OURS, PEER = "ours", "onnxruntime"
IMAGES_PER_ROUND = 8
MEMORY_IMAGES = (8, 64, 512)
SPEED_GOAL = 1.5
FLATNESS_GOAL = 1.05  # largest peak over smallest


@dataclass(frozen=True)
class Workload:
    """What both observe.

    Attributes:
        source: A portable FP32 model with its contract.
        folder: The images.
        count: How many of them.
        threads: CPU threads of the network.
    """

    source: Path
    folder: str
    count: int
    threads: int

    def images(self) -> ImageBatches:
        """Return the images.

        Raises:
            UsageError: If there are fewer.
        """
        images = find_images(self.folder, read_contract(self.source).size_hw, self.count)
        if len(images) < self.count:
            raise UsageError(
                f"--images holds {len(images)} images; expected {self.count}; name another folder, "
                "or lower --memory"
            )
        return images


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="a portable FP32 model with its contract")
    add("--images", required=True, metavar="DIR", help="at least as many as --memory names")
    add("--per-round", type=positive, default=IMAGES_PER_ROUND, metavar="N", help="images")
    add("--memory", type=positive, nargs="+", default=MEMORY_IMAGES, metavar="N", help="images")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    contract = read_contract(options.onnx)
    loads = {
        count: Workload(options.onnx, options.images, count, options.threads)
        for count in (options.per_round, *options.memory)
    }
    loads[max(loads)].images()  # too few is an error now, not after the rounds
    samples, tensors = time_both(loads[options.per_round], options.rounds)
    peaks = {count: peak_alone(observe_ours, loads[count]) for count in options.memory}
    least = min(options.memory)
    ratio = ratio_of(samples[PEER], samples[OURS])
    settings = {
        "model": contract.name,
        "size_hw": contract.size_hw,
        "tensors": tensors,
        "images_per_round": options.per_round,
        "threads": options.threads,
        "artifact_sha256": contract.artifact_sha256,
    }
    facts = {
        "images_per_second": {
            label: round(options.per_round / spread_of(values).median * 1e3, 2)
            for label, values in samples.items()
        },
        "peak_memory_mib": {
            **{f"{OURS}, {count} images": mib for count, mib in peaks.items()},
            f"{PEER}, {least} images": peak_alone(observe_peer, loads[least]),
        },
    }
    goals = (
        Goal("images/s, ours over onnxruntime", ratio.of_medians, Sense.AT_LEAST, SPEED_GOAL),
        Goal(
            f"peak memory at {', '.join(map(str, peaks))} images, largest over smallest",
            max(peaks.values()) / min(peaks.values()),
            Sense.AT_MOST,
            FLATNESS_GOAL,
        ),
    )
    return Findings(settings, samples, {f"{PEER} / {OURS}": ratio}, goals, facts)


def time_both(load: Workload, rounds: int) -> tuple[Samples, int]:
    """Return the times of both, and how many tensors they observe; sessions stay open."""
    model, images = load_model(load.source), load.images()
    tensors = observable(model, EVERYWHERE)
    observation = Observation.of(tensors)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peer = EntropyPeer(model, tensors, folder, load.threads)
        observer = stack.enter_context(Observer(model, observation, threads=load.threads))
        turns = [
            timed(OURS, lambda: observe(observer, observation, images)),
            timed(PEER, lambda: peer.observe(images)),
        ]
        return run_rounds(turns, rounds, warmup=1), len(tensors)


def observe(observer: Observer, observation: Observation, images: ImageBatches) -> None:
    """Add images to an observation and choose thresholds from it."""
    for sample in images:
        observer.add(sample)
    observer.finish()
    thresholds_by_method(observation.histograms, [RangeMethod.ENTROPY])


def peak_alone(observe_all: Callable[[Workload], None], load: Workload) -> float:
    """Observe in a process of its own and return its peak memory in MiB."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure_peak, observe_all, load).result()


def observe_ours(load: Workload) -> None:
    """Observe a workload with our observer, from the model on."""
    model = load_model(load.source)
    observation = Observation.of(observable(model, EVERYWHERE))
    with Observer(model, observation, threads=load.threads) as observer:
        observe(observer, observation, load.images())


def observe_peer(load: Workload) -> None:
    """Observe a workload with the peer, from the model on."""
    model = load_model(load.source)
    with tempfile.TemporaryDirectory() as folder:
        tensors = observable(model, EVERYWHERE)
        EntropyPeer(model, tensors, Path(folder), load.threads).observe(load.images())


def _measure_peak(observe_all: Callable[[Workload], None], load: Workload) -> float:
    observe_all(load)
    return peak_mib() or math.nan


if __name__ == "__main__":
    sys.exit(main())
