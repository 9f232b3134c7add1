"""COCO annotation files: checked once, before any work, and packed into arrays.

Refused, as no guess is safe: a file that is not COCO, without images or categories; ids that are
not whole numbers; one image id for two files, or one category id for two names; a folder that has
none of the images.

Counted in the report and left out: images that are missing; objects of unknown images or
categories; boxes that are not four numbers, not finite, of zero or negative size, or outside their
image; what is listed twice. Counted and kept: images without objects, boxes that reach over an
edge (clipped), crowds (for evaluation only), ids and names that are shared. Gaps between category
ids are as usual as in COCO itself, and mean nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.coco_objects import MISSING, ObjectContext, read_objects
from detectors.dataset_report import SHOWN_CASES, DatasetReport, Finding
from detectors.examples import ExampleTable, ImageTable
from runtime.errors import DatasetError


@dataclass(frozen=True)
class Annotations:
    """The content of an annotation file.

    Attributes:
        class_names: Names of the categories, by ascending id.
        category_ids: Ids of the categories, ascending.
        examples: The images with their objects.
        report: What was found wrong.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    examples: ExampleTable
    report: DatasetReport


def parse_annotations(body: dict[str, Any], folder: Path) -> Annotations:
    """Check and arrange a COCO file's content.

    Args:
        body: The parsed JSON.
        folder: Folder that the file names of its images are relative to.

    Raises:
        DatasetError: If something is refused; see above.
        AttributeError, KeyError, TypeError: If the content is not COCO's.
    """
    report = DatasetReport()
    records = _unique_images(body["images"], report)
    names = _read_categories(body["categories"], report)
    row_of = _existing_rows(records, folder, report)
    images = _pack_images([r for r in records if row_of[r["id"]] != MISSING], report)
    class_of = {category_id: index for index, category_id in enumerate(names)}
    objects = read_objects(body["annotations"], ObjectContext(row_of, class_of, images), report)
    examples = ExampleTable(folder, images, objects, np.arange(len(images.ids)))
    report.images, report.objects = len(examples), int((~objects.crowd).sum())
    return Annotations(tuple(names.values()), tuple(names), examples, report)


def _read_categories(records: list[dict[str, Any]], report: DatasetReport) -> dict[int, str]:
    """Return names by ascending id."""
    names: dict[int, str] = {}
    for record in sorted(records, key=lambda record: _whole(record["id"], "category")):
        number, name = record["id"], record["name"]
        if not isinstance(name, str):
            raise DatasetError(f"category {number} is named {name!r}; expected text; rename it")
        if names.setdefault(number, name) != name:
            raise DatasetError(
                f"categories {names[number]!r} and {name!r} share the id {number}; expected one "
                "name for each id; number them anew"
            )
    if not names:
        raise DatasetError("the annotations list no categories; expected at least one; add them")
    repeats = len(records) - len(names)
    report.add(Finding.CATEGORY_REPEATED, _repeated(r["id"] for r in records), repeats)
    report.add(Finding.NAME_SHARED, _repeated(names.values()))
    return names


def _unique_images(records: list[dict[str, Any]], report: DatasetReport) -> list[dict[str, Any]]:
    """Return one record for each image id."""
    if not records:
        raise DatasetError("the annotations list no images; expected at least one; add them")
    unique: dict[int, dict[str, Any]] = {}
    for record in records:
        number, name = _whole(record["id"], "image"), record["file_name"]
        if not isinstance(name, str) or not name:
            raise DatasetError(f"image {number} has file name {name!r}; expected text; correct it")
        first = unique.setdefault(number, record)
        if first["file_name"] != name:
            raise DatasetError(
                f"images {first['file_name']} and {name} share the id {number}; expected an id "
                "for each, as their objects cannot be told apart; number them anew"
            )
    repeats = len(records) - len(unique)
    report.add(Finding.IMAGE_REPEATED, _repeated(r["file_name"] for r in records), repeats)
    return list(unique.values())


def _existing_rows(
    records: list[dict[str, Any]], folder: Path, report: DatasetReport
) -> dict[int, int]:
    """Number the images whose file exists; the others get ``MISSING``."""
    present: dict[str, set[str]] = {}
    rows: dict[int, int] = {}
    absent: list[str] = []
    for record in records:
        parent, name = os.path.split(record["file_name"])
        if parent not in present:
            present[parent] = _files_in(folder / parent)
        if name in present[parent]:
            rows[record["id"]] = len(rows) - len(absent)
        else:
            rows[record["id"]] = MISSING
            absent.append(record["file_name"])
    if len(absent) == len(records):
        raise DatasetError(
            f"no image {folder / absent[0]}, nor any other that the annotations list; expected "
            "them there; name the folder of the images"
        )
    report.add(Finding.IMAGE_MISSING, absent)
    return rows


def _files_in(folder: Path) -> set[str]:
    """List a folder once: asking for each of 118 000 files takes far longer on a network disk."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def _pack_images(records: list[dict[str, Any]], report: DatasetReport) -> ImageTable:
    """Bring the records into arrays."""
    sizes = np.zeros((len(records), 2), np.int32)
    for row, record in enumerate(records):
        height, width = record.get("height"), record.get("width")
        if _is_side(height) and _is_side(width):
            sizes[row] = height, width
    unknown = np.flatnonzero(sizes[:, 0] == 0)
    cases = (records[row]["file_name"] for row in unknown[:SHOWN_CASES])
    report.add(Finding.SIZE_UNKNOWN, cases, len(unknown))
    names = [record["file_name"].encode() for record in records]
    ends = np.cumsum([0, *map(len, names)])
    return ImageTable(np.array([r["id"] for r in records], np.int64), sizes, b"".join(names), ends)


def _repeated(values: Iterable[Any]) -> Sequence[str]:
    """Return each value as often as it comes again."""
    counts = Counter(values)
    return [str(value) for value, count in counts.items() for _ in range(count - 1)]


def _whole(number: Any, kind: str) -> int:
    """Return an id.

    Raises:
        DatasetError: If it is not a whole number of 64 bits.
    """
    if type(number) is not int or abs(number) >= 2**63:
        raise DatasetError(
            f"{kind} id {number!r}; expected a whole number, as in COCO; number them anew"
        )
    return number


def _is_side(value: Any) -> bool:
    """Say whether a height or width can be one."""
    return isinstance(value, int | float) and 1 <= value < 2**31
