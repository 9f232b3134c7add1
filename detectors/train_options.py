"""What determines a training run, how it is carried out, and the two recipes to begin from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from detectors.int8_plan import Int8Plan
from runtime.command_line import check_output
from runtime.errors import UsageError

Schedule = Literal["cosine", "step"]
Precision = Literal["float32", "bfloat16", "float16"]
Augmentation = Literal["zoom", "published"]


@dataclass(frozen=True)
class TrainOptions:
    """Everything that determines a run; a resumed run must agree with the first.

    The defaults are the recipe ``shapes``, which the shipped weights were made with.

    Attributes:
        model: Name in the registry.
        size_hw: Height and width of the network's input, in pixels.
        steps: Optimizer steps in all.
        batch: Images per optimizer step, over all processes and micro-batches.
        accumulate: Micro-batches whose gradients are averaged in one step, in each process.
        rate: Peak learning rate of Adam.
        schedule: "cosine" falls smoothly to 2 % of the peak; "step" falls once, to a tenth.
        decay_at: Share of the steps after which "step" falls; unused by "cosine".
        warmup: Steps over which the rate rises.
        precision: What the network computes in; weights and losses stay float32.
        average_decay: Averaged weights look back over about 1 / (1 - this) steps; 0 averages
            nothing.
        max_gradient_norm: Longer gradients are shortened to this; 0 shortens none.
        augmentation: "zoom" shifts and zooms whole images; "published" crops as CornerNet did.
        vertical_flip: Whether images are also turned upside down; "zoom" only.
        zoom_chance: How often an image is zoomed, 0 for images as they are; "zoom" only.
        embedding_weight: Factor of the pull and push losses; the paper's is 0.1.
        offset_weight: Factor of the offset loss; the paper's is 1.
        seed: Seed of weights, order and augmentation.
        plan: What the network rounds in training, as its INT8 model will; None rounds nothing.
    """

    model: str
    size_hw: tuple[int, int]
    steps: int = 10_000
    batch: int = 8
    accumulate: int = 1
    rate: float = 1e-3
    schedule: Schedule = "cosine"
    decay_at: float = 0.9
    warmup: int = 300
    precision: Precision = "bfloat16"
    average_decay: float = 0.9985
    # A rare crowded batch must not undo an epoch.
    max_gradient_norm: float = 20.0
    augmentation: Augmentation = "zoom"
    vertical_flip: bool = False
    zoom_chance: float = 0.25
    embedding_weight: float = 0.1
    offset_weight: float = 1.0
    seed: int = 1
    plan: Int8Plan | None = None


# What each recipe sets beside the defaults above; every value can be given as an option as well.
RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "shapes": MappingProxyType({}),
        # CornerNet, arXiv:1808.01244, section 4.1, with the released configuration's numbers:
        # 500,000 steps of 49 images, the rate divided by ten after 450,000. Eight images a step
        # suffice for Shapes; COCO with 49 is as published.
        "published": MappingProxyType(
            {
                "steps": 500_000,
                "batch": 49,
                "rate": 2.5e-4,
                "schedule": "step",
                "warmup": 0,
                "precision": "float32",
                "average_decay": 0.0,
                "max_gradient_norm": 0.0,
                "augmentation": "published",
            }
        ),
    }
)


# What --qat sets in place of a recipe's values. The network knows its task already: weights are to
# move by about one step of their grids, on images as the detector meets them.
QAT: Mapping[str, Any] = MappingProxyType(
    {
        "steps": 1000,
        "rate": 3e-5,
        "warmup": 20,
        "precision": "float32",
        "average_decay": 0.99,
        "zoom_chance": 0.0,
    }
)


@dataclass(frozen=True)
class Session:
    """How a run is carried out; another choice gives the same weights but for rounding.

    Attributes:
        out: Folder that receives ``last.pt``, ``best.safetensors``, the weights and ``log.jsonl``.
        init: Weights to begin with instead of random ones.
        resume: Whether to continue from ``last.pt``.
        workers: Processes that load images; 0 loads in this one.
        save_every: Steps between checkpoints.
        log_every: Steps between records of the log.
        evaluate_every: Steps between evaluations, where there is a validation set.
        evaluate_images: How many of its images to use; None for all.
        stop_after: Step to stop at, if before the end of the schedule; None for the end.
        tensorboard: Whether scalars and pictures are also written for TensorBoard.
        device: "auto", "cpu" or "cuda".
        channels_last: Whether images and weights lie channels-last in memory.
        command: How the run was started, kept beside the weights.
    """

    out: Path
    init: Path | None = None
    resume: bool = False
    workers: int = 1
    save_every: int = 250
    log_every: int = 50
    evaluate_every: int = 1000
    evaluate_images: int | None = None
    stop_after: int | None = None
    tensorboard: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    channels_last: bool = True
    command: str = ""


def check_options(options: TrainOptions) -> None:
    """Refuse values that make no sense.

    Raises:
        UsageError: For the first of them; names its option.
    """
    if min(options.steps, options.batch, options.accumulate) < 1:
        raise UsageError("--steps, --batch and --accumulate must be at least 1")
    if not (options.rate > 0 and math.isfinite(options.rate)) or options.warmup < 0:
        raise UsageError("--rate must be positive and finite, --warmup at least 0")
    if options.plan and options.precision != "float32":
        raise UsageError(
            f"--precision is {options.precision} with --qat; expected float32: rounding to 16 bits "
            "would hide the INT8 grids; leave --precision away"
        )
    if options.plan and options.plan.model != options.model:
        raise UsageError(
            f"--qat got a plan of {options.plan.model} for {options.model}; expected one of the "
            "same detector; make it from its INT8 model"
        )
    if not 0 <= options.average_decay < 1:
        raise UsageError(
            f"--average-decay is {options.average_decay:g}; expected 0 or more and less than 1"
        )
    for name in ("zoom_chance", "decay_at"):
        if not 0 <= (value := getattr(options, name)) <= 1:
            raise UsageError(f"{_option(name)} is {value:g}; expected 0 to 1")
    for name in ("embedding_weight", "offset_weight", "max_gradient_norm"):
        if not (0 <= (value := getattr(options, name)) < math.inf):
            raise UsageError(f"{_option(name)} is {value:g}; expected 0 or more")


def check_session(session: Session) -> None:
    """Refuse a session that could not be carried out, and make its folder.

    Raises:
        UsageError: If a number is too small or the folder cannot be written.
    """
    check_output("--out", session.out / "last.pt")
    numbers = {
        "--save-every": session.save_every,
        "--log-every": session.log_every,
        "--evaluate-every": session.evaluate_every,
    }
    for name, value in numbers.items():
        if value < 1:
            raise UsageError(f"{name} is {value}; expected at least 1")
    if session.workers < 0:
        raise UsageError(f"--workers is {session.workers}; expected at least 0")


def _option(name: str) -> str:
    """Return a field's option on the command line."""
    return "--" + name.replace("_", "-")
