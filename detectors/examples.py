"""The annotated images of a dataset, packed into arrays.

A list of 118 000 Python objects is copied, page by page, into every process that loads images:
reading an object changes its reference count. Arrays are shared as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np

from runtime.camera_files import read_image
from runtime.errors import SourceError


@dataclass(frozen=True)
class Example:
    """One annotated image.

    Attributes:
        image_id: COCO's number of the image.
        path: The image file.
        size_hw: Height and width that the annotations list, in pixels; None if they do not.
        boxes_xyxy: float64 (n, 4) in pixels, inside the listed size; crowds left out.
        class_ids: int64 (n,), index into the set's class names.
    """

    image_id: int
    path: Path
    size_hw: tuple[int, int] | None
    boxes_xyxy: np.ndarray
    class_ids: np.ndarray


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The images of a dataset, a row each.

    Attributes:
        ids: int64 (n,), COCO's numbers.
        sizes_hw: int32 (n, 2) as listed, in pixels; 0 where no usable size is.
        names: All file names, UTF-8, one after the other.
        name_ends: int64 (n + 1,): name ``i`` is ``names[name_ends[i] : name_ends[i + 1]]``.
    """

    ids: np.ndarray
    sizes_hw: np.ndarray
    names: bytes
    name_ends: np.ndarray

    def name(self, row: int) -> str:
        """Return the file name of one image, relative to the folder of images."""
        return self.names[self.name_ends[row] : self.name_ends[row + 1]].decode()


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The objects of a dataset, a row each, ordered by image.

    Attributes:
        boxes_xyxy: float64 (m, 4) in pixels, inside the image.
        class_ids: int64 (m,), index into the set's class names.
        areas: float64 (m,), of the object's outline if the annotations have it, else of its box.
        crowd: bool (m,): the box surrounds many objects that are not annotated one by one.
        starts: int64 (n + 1,): image ``i`` owns the rows ``starts[i]`` to ``starts[i + 1] - 1``.
    """

    boxes_xyxy: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True, eq=False)
class ExampleTable(Sequence[Example]):
    """Images with their objects; reads like a tuple of ``Example``.

    Attributes:
        folder: Folder of the images.
        images: What is known of each image.
        objects: What is on the images.
        rows: int64 (k,): the images of this view; a slice is another view of the same arrays.
    """

    folder: Path
    images: ImageTable
    objects: ObjectTable
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> ExampleTable: ...

    def __getitem__(self, index: int | slice) -> Example | ExampleTable:
        if isinstance(index, slice):
            return replace(self, rows=self.rows[index])
        row = int(self.rows[index])
        objects = self.objects
        begin, end = objects.starts[row : row + 2]
        single = ~objects.crowd[begin:end]
        height, width = self.images.sizes_hw[row].tolist()
        return Example(
            image_id=int(self.images.ids[row]),
            path=self.folder / self.images.name(row),
            size_hw=(height, width) if height else None,
            boxes_xyxy=objects.boxes_xyxy[begin:end][single],
            class_ids=objects.class_ids[begin:end][single],
        )


def load_image(example: Example) -> np.ndarray:
    """Return an example's image, uint8 (H, W, 3) BGR.

    Raises:
        SourceError: If it cannot be decoded, or has another size than the annotations list.
    """
    image = read_image(example.path)
    if example.size_hw not in (None, image.shape[:2]):
        listed, actual = example.size_hw, image.shape[:2]
        raise SourceError(
            f"{example.path} is {actual[1]}x{actual[0]}, its annotations list "
            f"{listed[1]}x{listed[0]}; expected the same; correct the annotations"
        )
    return image
