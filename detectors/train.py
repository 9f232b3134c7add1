"""Train a detector on a COCO-format folder.

    python -m detectors.train --model cornernet-nano --data build/shapes/train --out build/train

A run that was stopped continues with ``--resume``: data order, augmentation, optimizer and
averaged weights go on where the last checkpoint left them.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from detectors.augment import AugmentSpec
from detectors.checkpoints import save_checkpoint
from detectors.dataset import CocoSet, EpochSampler, TrainingSet, read_coco
from detectors.registry import check_size, find_spec
from detectors.targets import TargetSpec
from detectors.trainer import Trainer, TrainOptions
from runtime import command_line
from runtime.command_line import CommandParser
from runtime.errors import UsageError, run_command


def load_batches(trainer: Trainer, coco: CocoSet, workers: int) -> Iterator[dict[str, Tensor]]:
    """Yield batches for ever, beginning with the trainer's next step."""
    options, stride = trainer.options, trainer.spec.stride_px
    remainder = trainer.spec.size_remainder
    output_hw = tuple((size + remainder) // stride for size in options.size_hw)
    dataset = TrainingSet(
        coco,
        AugmentSpec(
            options.size_hw, zoom_chance=options.zoom_chance, vertical_flip=options.vertical_flip
        ),
        TargetSpec(len(coco.class_names), options.size_hw, output_hw),
        options.seed,
    )
    sampler = EpochSampler(len(dataset), options.batch, options.seed, trainer.step)
    return iter(DataLoader(dataset, batch_sampler=sampler, num_workers=workers))


@dataclass(frozen=True)
class Session:
    """How a run is carried out; another choice gives the same weights but for rounding.

    Attributes:
        out: Folder that receives ``last.pt`` and ``log.jsonl``.
        workers: Processes that load images; 0 loads in this one.
        save_every: Steps between checkpoints.
        stop_after: Step to stop at, if before the end of the learning rate's schedule.
    """

    out: Path
    workers: int
    save_every: int
    stop_after: int


def train(trainer: Trainer, coco: CocoSet, session: Session) -> None:
    """Run the remaining steps; writes ``last.pt`` and appends to ``log.jsonl``."""
    last = min(trainer.options.steps, session.stop_after)
    batches = load_batches(trainer, coco, session.workers)
    started = time.monotonic()
    recent: list[dict[str, float]] = []
    with (
        tqdm(total=last, initial=trainer.step, unit="step", mininterval=2, disable=None) as bar,
        (session.out / "log.jsonl").open("a", encoding="utf-8") as log,
    ):
        while trainer.step < last:
            recent.append(trainer.train_step(next(batches)))
            bar.update()
            if trainer.step % session.save_every == 0 or trainer.step == last:
                means = {k: round(fmean(losses[k] for losses in recent), 5) for k in recent[0]}
                seconds = round(time.monotonic() - started, 1)
                log.write(json.dumps({"step": trainer.step, "seconds": seconds, **means}) + "\n")
                log.flush()
                bar.set_postfix(loss=means["total"])
                trainer.save(session.out / "last.pt")
                recent.clear()


def write_weights(trainer: Trainer, coco: CocoSet, path: Path, command: str) -> None:
    """Write the averaged weights as safetensors, with the facts that belong to them."""
    trainer.model.load_state_dict(trainer.average)
    options = trainer.options
    metadata: dict[str, str] = {
        "model": options.model,
        "class_names": json.dumps(coco.class_names),
        "size_hw": json.dumps(options.size_hw),
        "steps": str(trainer.step),
        "batch": str(options.batch),
        "seed": str(options.seed),
        "command": command,
        "torch": torch.__version__,
    }
    save_checkpoint(trainer.model, path, metadata)


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(prog="python -m detectors.train", description=__doc__)
    parser.add_argument("--model", default="cornernet-nano", help="name in the registry")
    parser.add_argument("--data", type=Path, required=True, help="COCO-format folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--init", type=Path, help="weights to begin with (fine-tuning)")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="network input")
    parser.add_argument("--steps", type=int, default=10000, help="optimizer steps")
    parser.add_argument(
        "--stop-after", type=command_line.positive, metavar="STEP", help="end early"
    )
    parser.add_argument("--batch", type=int, default=8, help="images per step")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--warmup", type=int, default=300, help="steps of rising rate")
    parser.add_argument("--float32", action="store_true", help="do not use bfloat16")
    parser.add_argument("--vertical-flip", action="store_true", help="upside down is as good")
    parser.add_argument("--zoom-chance", type=float, default=0.25, help="share of zoomed images")
    parser.add_argument(
        "--embedding-weight", type=float, default=0.1, help="factor of the pull and push losses"
    )
    parser.add_argument("--seed", type=command_line.seed, default=1, help="of all random choices")
    parser.add_argument("--workers", type=int, default=1, help="processes that load images")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch")
    parser.add_argument("--save-every", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="continue from OUT/last.pt")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    command = shlex.join(arguments)
    return run_command(lambda: _run(build_parser().parse_args(arguments), command))


def _run(parsed: argparse.Namespace, command: str) -> int:
    """Train as the options ask."""
    options = _options_from(parsed)
    torch.set_num_threads(parsed.threads)
    coco = read_coco(parsed.data)
    parsed.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(options, len(coco.class_names))
    if parsed.init:
        trainer.begin_with(parsed.init)
    if parsed.resume:
        trainer.restore(parsed.out / "last.pt")
    stop_after = parsed.stop_after or options.steps
    train(trainer, coco, Session(parsed.out, parsed.workers, parsed.save_every, stop_after))
    path = parsed.out / f"{options.model}.safetensors"
    write_weights(trainer, coco, path, f"python -m detectors.train {command}")
    print(path)
    return 0


def _options_from(parsed: Any) -> TrainOptions:
    """Check and collect the options that determine the run."""
    spec = find_spec(parsed.model)
    size_hw = tuple(parsed.size) if parsed.size else spec.default_size_hw
    check_size(parsed.model, size_hw)
    if min(parsed.steps, parsed.batch, parsed.threads, parsed.save_every) < 1:
        raise UsageError("--steps, --batch, --threads and --save-every must be at least 1")
    if not parsed.rate > 0 or min(parsed.warmup, parsed.workers) < 0:
        raise UsageError("--rate must be positive, --warmup and --workers at least 0")
    if not 0 <= parsed.zoom_chance <= 1:
        raise UsageError(f"--zoom-chance is {parsed.zoom_chance:g}; expected 0 to 1")
    if not parsed.embedding_weight >= 0:
        raise UsageError(f"--embedding-weight is {parsed.embedding_weight:g}; expected 0 or more")
    return TrainOptions(
        model=parsed.model,
        size_hw=size_hw,
        steps=parsed.steps,
        batch=parsed.batch,
        rate=parsed.rate,
        warmup=parsed.warmup,
        bfloat16=not parsed.float32,
        vertical_flip=parsed.vertical_flip,
        zoom_chance=parsed.zoom_chance,
        embedding_weight=parsed.embedding_weight,
        seed=parsed.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
