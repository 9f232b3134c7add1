"""Which images to calibrate on: an even selection, a seeded draw, or one that shows every class."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runtime.image_batches import ImageBatches, find_images


@dataclass(frozen=True)
class SampleChoice:
    """What to calibrate on.

    Attributes:
        images: A folder of images or of recorded frames, the folder of a COCO data set, a pattern
            such as ``shots/*.png``, or one image.
        most: Choose at most this many, at least 1.
        seed: Draw with this seed; None takes an even selection over the sorted names, which spreads
            over the time of a recording.
        annotations: COCO annotations to balance classes by, a file or its folder; None does not
            balance.
    """

    images: str
    most: int
    seed: int | None = None
    annotations: Path | None = None


def choose_samples(choice: SampleChoice, size_hw: tuple[int, int]) -> ImageBatches:
    """Find images and choose among them; the same choice gives the same images in the same order.

    Args:
        choice: What is there, and how to choose.
        size_hw: Height and width of the network's input, in pixels.

    Raises:
        SourceError: If there is no image.
        DatasetError: If the annotations are missing, malformed or those of other images.
    """
    if choice.annotations is not None:
        return ImageBatches(_balanced_paths(choice, choice.annotations), size_hw)
    if choice.seed is None:
        return find_images(choice.images, size_hw, choice.most)
    found = find_images(choice.images, size_hw, sys.maxsize)
    drawn = np.random.default_rng(choice.seed).permutation(len(found))[: choice.most]
    return replace(found, paths=tuple(found.paths[i] for i in sorted(drawn.tolist())))


def balanced_order(class_ids: list[np.ndarray], seed: int) -> list[int]:
    """Order images so that every beginning of the list shows all classes as evenly as it can.

    The class that the fewest images show so far is given the next one, drawn among those that show
    it. Images without an object follow in the end.

    Args:
        class_ids: The classes of the objects on each image, int64 (n,) with repeats.
        seed: Of the draw, and of the order of classes that are level.

    Returns:
        Indices of all images.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(class_ids)).tolist()
    classes = [np.unique(ids).tolist() for ids in class_ids]
    waiting: dict[int, deque[int]] = {}
    for image in drawn:
        for class_id in classes[image]:
            waiting.setdefault(class_id, deque()).append(image)
    shown = dict.fromkeys(rng.permutation(sorted(waiting)).tolist(), 0)
    chosen: dict[int, None] = {}  # a set that keeps its order
    while shown:
        rarest = min(shown, key=shown.__getitem__)
        queue = waiting[rarest]
        while queue and queue[0] in chosen:
            queue.popleft()
        if not queue:
            del shown[rarest]
            continue
        image = queue.popleft()
        chosen[image] = None
        for class_id in classes[image]:
            if class_id in shown:
                shown[class_id] += 1
    return [*chosen, *(image for image in drawn if image not in chosen)]


def _balanced_paths(choice: SampleChoice, annotations: Path) -> tuple[Path, ...]:
    from detectors.dataset import read_coco  # it imports torch

    folder = Path(choice.images)
    inner = folder / "images"
    examples = read_coco(annotations, inner if inner.is_dir() else folder).examples
    present = [example for example in examples if example.path.is_file()]
    order = balanced_order([example.class_ids for example in present], choice.seed or 0)
    return tuple(present[i].path for i in sorted(order[: choice.most]))
