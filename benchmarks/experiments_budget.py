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


@dataclass(frozen=True)
class Budget:
    """What every run of the experiments gets.

    Attributes:
        name: Folder of its results.
        size_hw: Network input of the runs, in pixels; the images are Shapes', up to 256 wide.
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
    steps: int
    batch: int
    warmup: int
    evaluate_every: int
    training_images: int
    validation_images: int
    seeds: tuple[int, ...]


# Six runs of about nine minutes on one core.
FULL = Budget("full", (160, 160), 2000, 8, 150, 250, 4000, 300, (1, 2, 3))
# Enough to see that everything works; its figures mean nothing.
QUICK = Budget("quick", (64, 64), 2, 2, 1, 1, 6, 4, (1, 2))


@dataclass(frozen=True)
class ImageSets:
    """The pictures of all experiments.

    Attributes:
        training: What the runs learn from.
        ordinary: Unseen images of the same kind: one to six objects, at most 35 % hidden.
        crowded: Unseen images of up to nine objects, half hidden, often by their own class.
    """

    training: CocoSet
    ordinary: CocoSet
    crowded: CocoSet


def draw_sets(budget: Budget, folder: Path) -> ImageSets:
    """Return the sets, drawing those that ``folder`` lacks."""

    def draw(images: int, seed: int, crowding: Crowding = NORMAL) -> CocoSet:
        target = folder / f"seed{seed}-{images}"
        if not (target / "annotations.json").is_file():
            write_dataset(target, ShapesSpec(images, seed, crowding=crowding))
        return read_coco(target)

    return ImageSets(
        draw(budget.training_images, TRAINING_SEED),
        draw(budget.validation_images, ORDINARY_SEED),
        draw(budget.validation_images, CROWDED_SEED, CROWDED),
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
