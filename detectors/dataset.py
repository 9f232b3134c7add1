"""COCO-format datasets: reading annotations, and serving training examples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detectors.augment import AugmentSpec, augment
from detectors.targets import TargetSpec, build_targets
from runtime.camera_files import read_image
from runtime.errors import DatasetError


@dataclass(frozen=True)
class Example:
    """One annotated image.

    Attributes:
        image_id: COCO's number of the image.
        path: The image file.
        boxes_xyxy: float64 (n, 4) in pixels, crowds left out.
        class_ids: int64 (n,), index into the set's class names.
    """

    image_id: int
    path: Path
    boxes_xyxy: np.ndarray
    class_ids: np.ndarray


@dataclass(frozen=True)
class CocoSet:
    """A folder with ``annotations.json`` and ``images/``."""

    folder: Path
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    examples: tuple[Example, ...]

    @property
    def annotation_file(self) -> Path:
        """The COCO JSON."""
        return self.folder / "annotations.json"


def read_coco(folder: Path) -> CocoSet:
    """Read ``annotations.json`` of ``folder``; images lie in ``folder/images``.

    Categories are numbered by ascending id, so that class ids have no gaps.

    Raises:
        DatasetError: If the file is missing, malformed, lists no image, or one that is missing.
    """
    path = folder / "annotations.json"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return _parse_coco(folder, body)
    except FileNotFoundError:
        raise DatasetError(
            f"no {path}; expected COCO annotations; make some: "
            f"python -m detectors.shapes --out {folder}"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is not a COCO annotation file ({error!r})") from None


def _parse_coco(folder: Path, body: dict[str, Any]) -> CocoSet:
    """Arrange a COCO file's content by image."""
    categories = sorted(body["categories"], key=lambda category: category["id"])
    class_of = {category["id"]: index for index, category in enumerate(categories)}
    found: dict[int, list[tuple[list[float], int]]] = {r["id"]: [] for r in body["images"]}
    if not found:
        raise DatasetError(f"{folder} lists no images; expected at least one")
    for entry in body["annotations"]:
        if not entry.get("iscrowd", 0):
            left, top, width, height = entry["bbox"]
            box = [left, top, left + width, top + height]
            found[entry["image_id"]].append((box, class_of[entry["category_id"]]))
    examples = tuple(
        Example(
            record["id"],
            folder / "images" / record["file_name"],
            np.array([box for box, _ in found[record["id"]]], np.float64).reshape(-1, 4),
            np.array([class_id for _, class_id in found[record["id"]]], np.int64),
        )
        for record in body["images"]
    )
    if absent := next((e.path for e in examples if not e.path.is_file()), None):
        raise DatasetError(f"no image {absent}; expected every image that the annotations list")
    names = tuple(category["name"] for category in categories)
    return CocoSet(folder, names, tuple(class_of), examples)


class TrainingSet(Dataset[dict[str, Tensor]]):
    """Augmented images with their targets.

    Item ``i`` of epoch ``e`` is a function of ``(seed, e, i)``: a resumed run sees the same data.

    Args:
        coco: The annotated images.
        augmentation: How far images are changed.
        targets: How targets are laid out.
        seed: Seed of the augmentation.
    """

    def __init__(
        self, coco: CocoSet, augmentation: AugmentSpec, targets: TargetSpec, seed: int
    ) -> None:
        self.coco = coco
        self.augmentation = augmentation
        self.targets = targets
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.coco.examples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return ``image`` uint8 (H, W, 3) and the targets of one (epoch, index)."""
        epoch, index = key
        example = self.coco.examples[index]
        rng = np.random.default_rng([self.seed, epoch, index])
        image, boxes, kept = augment(
            rng, read_image(example.path), example.boxes_xyxy, self.augmentation
        )
        arrays = build_targets(boxes, example.class_ids[kept], self.targets)
        return {"image": torch.from_numpy(image)} | {
            name: torch.from_numpy(array) for name, array in arrays.items()
        }


class EpochSampler(torch.utils.data.Sampler[list[tuple[int, int]]]):
    """Endless batches of (epoch, index) keys, in a new order every epoch.

    Args:
        count: Images in the set.
        batch: Images per step; the remainder of an epoch is left out.
        seed: Seed of the order.
        first_step: Step to begin with: a resumed run continues the same sequence.
    """

    def __init__(self, count: int, batch: int, seed: int, first_step: int = 0) -> None:
        if count < batch:
            raise DatasetError(f"got {count} images for batches of {batch}; lower --batch")
        self.count, self.batch, self.seed, self.first_step = count, batch, seed, first_step

    def __iter__(self):
        """Yield batches for ever."""
        per_epoch = self.count // self.batch
        epoch, step = divmod(self.first_step, per_epoch)
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            for batch in range(step, per_epoch):
                chosen = order[batch * self.batch : (batch + 1) * self.batch]
                yield [(epoch, int(index)) for index in chosen]
            epoch, step = epoch + 1, 0
