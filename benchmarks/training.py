"""Training: steps of ``detectors.train`` against a plain loop over the same network.

python -m benchmarks.training

The plain loop knows its batches beforehand and does forward, loss, backward and Adam, nothing else.
The trainer loads and augments images, checks and shortens gradients, averages weights and logs.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.common import Goal, Samples, Sense, ratio_of, run_rounds, spread_of, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.torch_threads import torch_threads
from detectors.batches import Batch, TimedBatches, load_batches
from detectors.dataset import read_coco
from detectors.normalise import normalise
from detectors.objectives import IMAGE, IMAGE_ID, find_objective, loss_weights
from detectors.processes import OneProcess, open_processes
from detectors.registry import build_detector, check_size, find_spec
from detectors.shapes import ShapesSpec, write_dataset
from detectors.train_options import Precision, TrainOptions
from detectors.trainer import Trainer, check_precision
from detectors.training_log import Meter, TrainingLog
from runtime.command_line import CommandParser, count, positive

NAME = "training"
PLAIN, TRAINER = "plain loop", "trainer"
SPEED_GOAL = 0.95  # images per second of the trainer against the plain loop
WAITING_GOAL = 0.1  # share of a step spent waiting for images
PRELOADED = 4  # batches that the plain loop takes in turn
LOG_EVERY = 50  # as the command's default


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        options: The network and its batches.
        device: "cpu" or "cuda".
        workers: Processes that load images for the trainer.
        threads: CPU threads of the network.
        data: Folder of annotated images.
    """

    options: TrainOptions
    device: str
    workers: int
    threads: int
    data: Path


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add = parser.add_argument
    add("--model", default="cornernet-nano", help="name in the registry")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="network input")
    add("--batch", type=positive, default=8, help="images per step")
    add("--precision", choices=get_args(Precision), default="bfloat16")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--workers", type=count, default=1, help="processes that load images")
    add("--steps", type=positive, default=6, help="steps of each turn")
    add("--images", type=positive, default=64, help="images of the set that is drawn")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    spec = find_spec(options.model)
    size_hw = tuple(options.size or spec.default_size_hw)
    check_size(options.model, size_hw)
    train = TrainOptions(options.model, size_hw, batch=options.batch, precision=options.precision)
    device = open_processes(options.device, environment={}).device
    check_precision(train, device)
    with tempfile.TemporaryDirectory() as folder, torch_threads(options.threads):
        write_dataset(Path(folder) / "set", ShapesSpec(max(options.images, options.batch), seed=1))
        case = Case(train, device.type, options.workers, options.threads, Path(folder) / "set")
        memory = {name: peak_memory_mib(name, case) for name in (PLAIN, TRAINER)}
        samples, share = measure_steps(case, options.steps, options.rounds)
    settings = {
        "model": options.model,
        "size_hw": size_hw,
        "batch": options.batch,
        "precision": options.precision,
        "device": device.type,
        "threads": options.threads,
        "workers": options.workers,
        "steps_per_turn": options.steps,
    }
    return compare(samples, share, memory, settings)


def measure_steps(case: Case, steps: int, rounds: int) -> tuple[Samples, float]:
    """Let both candidates take turns of several steps.

    Returns:
        Milliseconds per step, and the share of the trainer's time spent waiting for images.
    """
    plain, (trainer, batches) = plain_step(case), trainer_step(case)
    waited: list[float] = []

    def clocked_turn() -> dict[str, float]:
        before_s = batches.waited_s
        took = timed(TRAINER, _finished(trainer, case.device), steps)()
        waited.append((batches.waited_s - before_s) * 1e3 / (took[TRAINER] * steps))
        return took

    turns = [timed(PLAIN, _finished(plain, case.device), steps), clocked_turn]
    samples = run_rounds(turns, rounds)
    return samples, spread_of(waited[-rounds:]).median


def plain_step(case: Case) -> Callable[[], object]:
    """Return one step of the plain loop, on batches that lie ready on the device."""
    options, spec = case.options, find_spec(case.options.model)
    device = torch.device(case.device)
    torch.manual_seed(options.seed)
    classes = len(read_coco(case.data).class_names)
    network = build_detector(options.model, classes).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.rate)
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
    loss, weights = find_objective(spec).loss, loss_weights(options)
    found = load(case, workers=0)
    ready = itertools.cycle([_on_device(next(found), case) for _ in range(PRELOADED)])
    dtype, mixed = getattr(torch, options.precision), options.precision != "float32"

    def step() -> None:
        images, targets = next(ready)
        with torch.autocast(device.type, dtype, enabled=mixed):
            outputs = network(images)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss(outputs, targets, weights)["total"]).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def trainer_step(case: Case) -> tuple[Callable[[], object], TimedBatches]:
    """Return one step as a run takes it, and the batches whose clock tells the waiting."""
    process = OneProcess(torch.device(case.device))
    trainer = Trainer(case.options, len(read_coco(case.data).class_names), process)
    batches = load(case, case.workers)
    log = TrainingLog(case.data.parent / "log.jsonl", 0, case.options.steps)
    meter = Meter(case.options.batch)

    def step() -> None:
        meter.add(trainer.train_step(batches), 1.0, 0.0)
        log.step()
        if trainer.step % LOG_EVERY == 0:
            log.write(trainer.step, meter.take())

    return step, batches


def load(case: Case, workers: int) -> TimedBatches:
    """Return the trainer's own batches."""
    spec = find_spec(case.options.model)
    dataset = find_objective(spec).training_set(case.options, spec, read_coco(case.data))
    return load_batches(
        dataset, case.options, OneProcess(torch.device(case.device)), workers=workers
    )


def peak_memory_mib(candidate: str, case: Case) -> float:
    """Return what a process of its own needs at most for two steps, in MiB.

    On a GPU that is the memory PyTorch took there, on a CPU the process's resident memory.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_of_two_steps, candidate, case).result()


def compare(
    samples: Samples, share: float, memory: dict[str, float], settings: dict[str, Any]
) -> Findings:
    """Set the trainer's speed against the plain loop's, and its waiting against the limit."""
    speed = ratio_of(samples[PLAIN], samples[TRAINER])
    batch = settings["batch"]
    facts = {
        f"{name}, images/s": round(batch * 1e3 / spread_of(values).median, 2)
        for name, values in samples.items()
    }
    facts |= {f"{name}, peak MiB": round(value) for name, value in memory.items()}
    facts["waiting for images, share"] = round(share, 4)
    goals = (
        Goal("speed against the plain loop", speed.of_medians, Sense.AT_LEAST, SPEED_GOAL),
        Goal("share of waiting for images", share, Sense.AT_MOST, WAITING_GOAL),
    )
    return Findings(settings, samples, {"plain loop / trainer": speed}, goals, facts)


def _peak_of_two_steps(candidate: str, case: Case) -> float:
    torch.set_num_threads(case.threads)
    step = plain_step(case) if candidate == PLAIN else trainer_step(case)[0]
    for _ in range(2):
        step()
    if case.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _on_device(batch: Batch, case: Case) -> tuple[torch.Tensor, Batch]:
    """Return normalised images and targets."""
    moved = {name: value.to(case.device) for name, value in batch.items()}
    images = normalise(moved.pop(IMAGE), find_spec(case.options.model))
    del moved[IMAGE_ID]
    return images, moved


def _finished(step: Callable[[], object], device: str) -> Callable[[], object]:
    """Return a step that ends when the device has done its work."""
    if device == "cpu":
        return step

    def waiting() -> None:
        step()
        torch.cuda.synchronize()

    return waiting


if __name__ == "__main__":
    sys.exit(main())
