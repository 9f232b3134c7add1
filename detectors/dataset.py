"""COCO-format datasets: opening them, and serving training examples.

An image that turns out to be damaged, or of another size than its boxes were drawn for, does not
stop a run: the next usable image of the set takes its place, and every process that loads images
names it once, in one line on stderr. ``detectors.image_check`` finds such images beforehand and
leaves them out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from detectors.coco_annotations import parse_annotations
from detectors.dataset_report import DatasetReport
from detectors.examples import Example, ExampleTable, load_image
from runtime.errors import DatasetError, SourceError

# (rng, image uint8 (H, W, 3) BGR, boxes_xyxy float64 (n, 4)) -> the same of network size, and the
# indices of the boxes that remained. All choices come from rng; nothing is modified.
Augmentation = Callable[
    [np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]
]

# Outlines of objects, which no one reads here: two thirds of COCO's file. Without them, reading
# takes a third of the time and memory. In JSON, a quoted word before a colon is a key, never text.
OUTLINES = re.compile(rb'"segmentation"\s*:\s*\[[][\d\s.,eE+-]*\](?=\s*[,}])')
MAX_REPLACEMENTS = 50  # unusable images in a row: something is wrong with the disk, not with them


@dataclass(frozen=True, eq=False)
class CocoSet:
    """Annotated images.

    Attributes:
        folder: Folder of the annotation file.
        class_names: Names of the classes.
        category_ids: COCO's numbers of the classes.
        examples: The images and their objects, in the order of the file.
        annotation_file: The COCO JSON.
        report: What was wrong with the file.
    """

    folder: Path
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    examples: ExampleTable
    annotation_file: Path
    report: DatasetReport


def read_coco(path: Path, images: Path | None = None) -> CocoSet:
    """Read COCO annotations; ``detectors.coco_annotations`` tells what is refused or left out.

    Categories are numbered by ascending id, so that class ids have no gaps.

    Args:
        path: A folder with ``annotations.json`` and ``images/``, or a COCO JSON file.
        images: Folder of the images; ``images/`` beside the JSON file if not given.

    Raises:
        DatasetError: If the file is missing or malformed, or one of its contents is refused.
    """
    file = path / "annotations.json" if path.is_dir() or not path.suffix else path
    try:
        body = json.loads(OUTLINES.sub(b'"segmentation":0', file.read_bytes()))
        annotations = parse_annotations(body, images or file.parent / "images")
    except FileNotFoundError:
        remedy = (
            "check the path"
            if file == path
            else f"make some: python -m detectors.shapes --out {path}"
        )
        raise DatasetError(f"no {file}; expected COCO annotations; {remedy}") from None
    except DatasetError as error:
        raise DatasetError(f"{file}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"{file} is not a COCO annotation file ({error!r}); expected images, annotations and "
            "categories; check what wrote it"
        ) from None
    return CocoSet(
        file.parent,
        annotations.class_names,
        annotations.category_ids,
        annotations.examples,
        file,
        annotations.report,
    )


class TargetBuilder(Protocol):
    """What a family learns from: ``detectors.targets.TargetSpec``, for one."""

    def build(self, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Return the targets of one image, the same names and shapes for each."""
        ...


class TrainingSet(Dataset[dict[str, Tensor]]):
    """Augmented images with their targets.

    Item ``i`` of epoch ``e`` is a function of ``(seed, e, i)``: a resumed run sees the same data.

    Args:
        coco: The annotated images.
        augmentation: Changes an image and its boxes, and brings it to the network's size.
        targets: How targets are laid out.
        seed: Seed of the augmentation.
    """

    def __init__(
        self, coco: CocoSet, augmentation: Augmentation, targets: TargetBuilder, seed: int
    ) -> None:
        self.coco = coco
        self.augmentation = augmentation
        self.targets = targets
        self.seed = seed
        self._reported: set[int] = set()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.coco.examples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return one (epoch, index).

        Returns:
            ``image`` uint8 (H, W, 3), ``image_id`` int64 (), and the targets.

        Raises:
            DatasetError: If this image and the ``MAX_REPLACEMENTS`` after it are unusable.
        """
        epoch, index = key
        example, image = self._usable(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        image, boxes, kept = self.augmentation(rng, image, example.boxes_xyxy)
        arrays = self.targets.build(boxes, example.class_ids[kept])
        item = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return item | {
            "image": torch.from_numpy(image),
            "image_id": torch.tensor(example.image_id),
        }

    def _usable(self, index: int) -> tuple[Example, np.ndarray]:
        """Return the first usable example from ``index`` on."""
        for attempt in range(min(MAX_REPLACEMENTS, len(self)) + 1):
            candidate = (index + attempt) % len(self)
            example = self.coco.examples[candidate]
            try:
                return example, load_image(example)
            except SourceError as error:
                if candidate not in self._reported:
                    self._reported.add(candidate)
                    line = f"warning: {error}; another image takes its place"
                    print(line, file=sys.stderr, flush=True)
        raise DatasetError(
            f"{attempt + 1} images in a row cannot be used, the last is {example.path}; expected "
            "images of the listed sizes; check the disk and the annotations"
        )


@dataclass(frozen=True)
class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Endless micro-batches of (epoch, index) keys, in a new order every epoch.

    A step's images are the same for every number of processes and of accumulated micro-batches:
    micro-batch ``a`` of process ``p`` is part ``a * processes + p`` of the step's batch. So one
    process that accumulates two micro-batches sees what two processes see.

    Attributes:
        count: Images in the set.
        batch: Images per step, of all processes and micro-batches; an epoch's remainder is left
            out.
        seed: Seed of the order.
        first_step: Step to begin with: a resumed run continues the same sequence.
        process: Number of this process, from 0.
        processes: How many processes share a step.
        accumulate: Micro-batches that a process takes per step.

    Raises:
        DatasetError: If the set is smaller than a batch, or a batch has no equal parts.
    """

    count: int
    batch: int
    seed: int
    first_step: int = 0
    process: int = 0
    processes: int = 1
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.count < self.batch:
            raise DatasetError(
                f"got {self.count} images for batches of {self.batch}; lower --batch"
            )
        if self.batch % (self.processes * self.accumulate):
            raise DatasetError(
                f"got batches of {self.batch} images for {self.processes} processes of "
                f"{self.accumulate} micro-batches; expected a multiple of "
                f"{self.processes * self.accumulate}; change --batch"
            )

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield micro-batches for ever, ``accumulate`` of them per step."""
        per_epoch = self.count // self.batch
        parts = self.processes * self.accumulate
        epoch, step = divmod(self.first_step, per_epoch)
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            steps = order[: per_epoch * self.batch].reshape(per_epoch, parts, -1)
            for chosen in steps[step:]:
                for part in chosen[self.process :: self.processes].tolist():
                    yield [(epoch, index) for index in part]
            epoch, step = epoch + 1, 0
