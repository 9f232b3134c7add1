"""How much the experiments may spend, the pictures they use, and results kept between calls."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.dataset import CocoSet, read_coco
from detectors.shapes import ShapesSpec, write_dataset
from detectors.shapes_scene import CROWDED, NORMAL, Crowding
from runtime.atomic_file import write_text

# Seeds of sets that nothing else uses: the shipped weights were trained on 1 and 5, evaluated on 2.
TRAINING_SEED, ORDINARY_SEED, CROWDED_SEED = 20, 21, 22
# The shipped weights are asked about Shapes as they are, small objects included.
ALL_SIZES = ShapesSpec.min_size_px


@dataclass(frozen=True)
class Budget:
    """What every run of the experiments gets.

    Attributes:
        name: Folder of its results.
        size_hw: Network input of the runs, in pixels; the images are Shapes', up to 256 wide.
        min_size_px: Smallest longest side of an object on the runs' images, in their pixels.
        steps: Optimizer steps of a run.
        batch: Images per step.
        warmup: Steps of rising learning rate.
        evaluate_every: Steps between the points of a learning curve.
        training_images: Images to learn from.
        validation_images: Images of each of the two evaluation sets.
        seeds: Seeds of the runs; with and without corner pooling share them.
    """

    name: str
    size_hw: tuple[int, int]
    min_size_px: float
    steps: int
    batch: int
    warmup: int
    evaluate_every: int
    training_images: int
    validation_images: int
    seeds: tuple[int, ...]


# Six runs of about eleven minutes on one core. Objects are large enough to be found in so few
# steps: on all sizes at 160x160, 2,000 steps led to AP 0.12, too little to compare anything.
FULL = Budget("full", (128, 128), 48.0, 3500, 8, 150, 500, 4000, 300, (1, 2, 3))
# Enough to see that everything works; its figures mean nothing.
QUICK = Budget("quick", (64, 64), 48.0, 2, 2, 1, 1, 6, 4, (1, 2))


@dataclass(frozen=True)
class UnseenSets:
    """Images that no network has learned from.

    Attributes:
        ordinary: One to six objects on an image, at most 35 % of each hidden.
        crowded: Up to nine, half hidden, often by their own class.
    """

    ordinary: CocoSet
    crowded: CocoSet


@dataclass(frozen=True)
class ImageSets:
    """The pictures of all experiments.

    Attributes:
        training: What the runs learn from; objects of the budget's sizes.
        unseen: What the runs are evaluated on; the same sizes.
        all_sizes: What the shipped weights are evaluated on.
    """

    training: CocoSet
    unseen: UnseenSets
    all_sizes: UnseenSets


def draw_sets(budget: Budget, folder: Path) -> ImageSets:
    """Return the sets, drawing those that ``folder`` lacks."""

    def draw(images: int, seed: int, min_size_px: float, crowding: Crowding = NORMAL) -> CocoSet:
        target = folder / f"seed{seed}-{images}-from{min_size_px:g}px"
        if not (target / "annotations.json").is_file():
            spec = ShapesSpec(images, seed, crowding=crowding, min_size_px=min_size_px)
            write_dataset(target, spec)
        return read_coco(target)

    def draw_unseen(min_size_px: float) -> UnseenSets:
        return UnseenSets(
            draw(budget.validation_images, ORDINARY_SEED, min_size_px),
            draw(budget.validation_images, CROWDED_SEED, min_size_px, CROWDED),
        )

    return ImageSets(
        draw(budget.training_images, TRAINING_SEED, budget.min_size_px),
        draw_unseen(budget.min_size_px),
        draw_unseen(ALL_SIZES),
    )


def computed_once(
    path: Path, stamp: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return a result from ``path`` if it was made under the same ``stamp``, else make it.

    Args:
        path: JSON file of the result; written only when complete.
        stamp: Everything that the result depends on, ready for JSON.
        compute: Makes the result, ready for JSON.
    """
    wanted = json.loads(json.dumps(stamp))  # as it reads back: lists for tuples
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        kept = {}
    if kept.get("stamp") != wanted:
        kept = {"stamp": wanted, "result": compute()}
        write_text(path, json.dumps(kept, indent=1, allow_nan=False) + "\n")
    return kept["result"]


def budget_facts(budget: Budget) -> dict[str, Any]:
    """Return the budget and the seeds of its sets, ready for JSON."""
    sets = {"training": TRAINING_SEED, "ordinary": ORDINARY_SEED, "crowded": CROWDED_SEED}
    return {**dataclasses.asdict(budget), "shapes_seeds": sets}
