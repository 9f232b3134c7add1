r"""Train a detector on images with COCO annotations.

    python -m detectors.train --data build/shapes/train --out build/train
    python -m detectors.train --recipe published --model cornernet-squeeze \
        --data annotations/instances_train2017.json --images train2017 --out build/squeeze
    torchrun --nproc-per-node 8 -m detectors.train ...

A run that was stopped continues with --resume: data order, augmentation, optimizer and averaged
weights go on where the last checkpoint left them. docs/training.md explains every option.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from pathlib import Path
from typing import Any, get_args

import torch

from detectors.dataset import CocoSet, read_coco
from detectors.image_check import check_images
from detectors.int8_plan import Int8Plan, read_plan
from detectors.registry import check_size, find_spec
from detectors.stop_request import TrainingStopped
from detectors.train_options import (
    QAT,
    RECIPES,
    Augmentation,
    Precision,
    Schedule,
    Session,
    TrainOptions,
    check_options,
)
from detectors.training_run import TrainingResult, run_training
from runtime.command_line import CommandParser, count, positive, seed
from runtime.errors import UsageError, run_command

__all__ = ["TrainingResult", "main", "run_training"]


def build_parser() -> CommandParser:
    """Return the command's parser; options of the recipe have no default of their own."""
    parser = CommandParser(
        prog="python -m detectors.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data_options(parser.add_argument_group("data and files"))
    _add_recipe_options(parser.add_argument_group("what is trained; defaults are the recipe's"))
    _add_session_options(parser.add_argument_group("how the run is carried out"))
    return parser


def _add_data_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--data", type=Path, required=True, help="folder with annotations.json, or a COCO JSON")
    add("--images", type=Path, help="folder of the images, where --data is a JSON file")
    add("--validation", type=Path, metavar="DATA", help="evaluate on these images now and then")
    add("--validation-images", type=Path, metavar="DIR", help="their folder, as --images")
    add("--check-images", action="store_true", help="first look at every image of --data")
    add("--out", type=Path, required=True, help="folder for checkpoints, weights and log")
    add("--init", type=Path, metavar="F", help="weights to begin with (fine-tuning)")
    add("--qat", type=Path, metavar="PLAN", help="fine-tune --init for the INT8 of this plan")
    add("--resume", action="store_true", help="continue from OUT/last.pt")


def _add_recipe_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--recipe", choices=sorted(RECIPES), default="shapes", help="where values come from")
    add("--model", default="cornernet-nano", help="name in the registry")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="network input, in pixels")
    add("--steps", type=positive, help="optimizer steps")
    add("--batch", type=positive, help="images per step, over all processes")
    add("--accumulate", type=positive, metavar="N", help="micro-batches per step and process")
    add("--rate", type=float, help="peak learning rate")
    add("--schedule", choices=get_args(Schedule), help="how the rate falls")
    add("--decay-at", type=float, metavar="SHARE", help="of the steps, where step falls")
    add("--warmup", type=count, metavar="STEPS", help="steps of rising rate")
    add("--precision", choices=get_args(Precision), help="what the network computes in")
    add("--average-decay", type=float, metavar="D", help="of the averaged weights; 0 for none")
    add("--max-gradient-norm", type=float, metavar="N", help="shorten longer ones; 0 for never")
    add("--augmentation", choices=get_args(Augmentation), help="how images are changed")
    add("--vertical-flip", action="store_true", default=None, help="upside down is as good")
    add("--zoom-chance", type=float, metavar="SHARE", help="share of zoomed images")
    add("--embedding-weight", type=float, metavar="W", help="factor of pull and push losses")
    add("--offset-weight", type=float, metavar="W", help="factor of the offset loss")
    add("--seed", type=seed, help="of all random choices")


def _add_session_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--stop-after", type=positive, metavar="STEP", help="end before the schedule does")
    add("--save-every", type=positive, default=250, metavar="STEPS", help="between checkpoints")
    add("--log-every", type=positive, default=50, metavar="STEPS", help="between log records")
    add(
        "--evaluate-every",
        type=positive,
        default=1000,
        metavar="STEPS",
        help="between evaluations, and pictures for TensorBoard",
    )
    add("--evaluate-images", type=positive, metavar="N", help="use the first N only")
    add("--tensorboard", action="store_true", help="also write OUT/tensorboard")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    add("--threads", type=positive, help="threads of torch on a CPU; all cores by default")
    add("--workers", type=count, default=1, help="processes that load images")
    add("--contiguous", action="store_true", help="keep images channels-first in memory")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    return run_command(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    """Train as the options ask."""
    parsed = build_parser().parse_args(arguments)
    options = options_from(parsed)
    torch.set_num_threads(parsed.threads or _cores_of_a_process())
    coco = _read_set(parsed.data, parsed.images)
    if parsed.check_images:
        coco = _look_at_images(coco)
    validation = _read_set(parsed.validation, parsed.validation_images)
    session = _session_from(parsed, f"python -m detectors.train {shlex.join(arguments)}")
    try:
        result = run_training(options, session, coco, validation)
    except TrainingStopped as stop:
        print(stop, file=sys.stderr)
        return 130
    if not result.is_main:
        return 0
    if result.best_ap is not None:
        print(f"best AP {result.best_ap:.3f}: {result.best_weights}")
    print(result.weights)
    return 0


def _read_set(data: Path | None, images: Path | None) -> CocoSet | None:
    """Read annotations; the first of torchrun's processes says what is peculiar about them."""
    if data is None:
        if images is not None:
            raise UsageError(
                f"--validation-images is {images} without --validation; expected both; add the set"
            )
        return None
    coco = read_coco(data, images)
    if coco.report.counts and os.environ.get("RANK", "0") == "0":
        print(f"{coco.annotation_file}: {coco.report.summary()}", file=sys.stderr)
    return coco


def _look_at_images(coco: CocoSet) -> CocoSet:
    """Leave out images that cannot be used, and say on stderr what remains and what was found."""
    checked = check_images(coco, os.cpu_count() or 1)
    print("\n  ".join([checked.report.summary(), *checked.report.details()]), file=sys.stderr)
    return checked


def options_from(parsed: argparse.Namespace) -> TrainOptions:
    """Return the recipe's values with those that were given in their place.

    Raises:
        UsageError: If a value makes no sense.
    """
    spec = find_spec(parsed.model)
    size_hw = tuple(parsed.size) if parsed.size else spec.default_size_hw
    check_size(parsed.model, size_hw)
    values: dict[str, Any] = {
        field.name: getattr(parsed, field.name, None) for field in dataclasses.fields(TrainOptions)
    }
    given = {name: value for name, value in values.items() if value is not None}
    if parsed.qat:
        given = {**QAT, **given, "plan": _plan_from(parsed)}
    options = TrainOptions(**{**RECIPES[parsed.recipe], **given, "size_hw": size_hw})
    check_options(options)
    return options


def _plan_from(parsed: argparse.Namespace) -> Int8Plan:
    """Read the plan of --qat, which fine-tunes weights that exist."""
    if not (parsed.init or parsed.resume):
        raise UsageError(
            "--qat without --init; expected the weights that the plan's INT8 model was made from; "
            "add --init"
        )
    return read_plan(parsed.qat)


def _session_from(parsed: argparse.Namespace, command: str) -> Session:
    """Collect how the run is carried out."""
    values = {
        field.name: getattr(parsed, field.name)
        for field in dataclasses.fields(Session)
        if hasattr(parsed, field.name)
    }
    return Session(**values, channels_last=not parsed.contiguous, command=command)


def _cores_of_a_process() -> int:
    """Return the cores for each process that torchrun started on this machine."""
    local = os.environ.get("LOCAL_WORLD_SIZE", "1")
    processes = int(local) if local.isdecimal() else 1
    return max(1, (os.cpu_count() or 1) // max(1, processes))


if __name__ == "__main__":
    sys.exit(main())
