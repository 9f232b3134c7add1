"""The objects of a COCO annotation file: checked, counted, and packed into arrays.

``detectors.coco_annotations`` tells what is left out and what is kept.
"""

from __future__ import annotations

import math
import struct
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.dataset_report import SHOWN_CASES, DatasetReport, Finding
from detectors.examples import ImageTable, ObjectTable
from detectors.targets import TargetSpec

# COCO rounds boxes to hundredths of a pixel: less than this over an edge is no finding.
ROUNDING_PX = 0.05
MISSING = -1  # row of an image whose file is missing
NO_ID = np.iinfo(np.int64).min  # of an object without id: only evaluation needs one


@dataclass(frozen=True)
class ObjectContext:
    """What annotations refer to.

    Attributes:
        row_of: Rows of ``images`` by image id; ``MISSING`` for listed images without a file.
        class_of: Class ids by category id.
        images: The images that exist.
    """

    row_of: dict[int, int]
    class_of: dict[int, int]
    images: ImageTable


def read_objects(
    entries: list[dict[str, Any]], context: ObjectContext, report: DatasetReport
) -> ObjectTable:
    """Check all annotations.

    Args:
        entries: The file's annotations.
        context: What they refer to.
        report: Receives the findings.

    Raises:
        AttributeError, KeyError, TypeError: If an entry is no object or names no image or category.
    """
    raw = _read_columns(entries, context, report)
    return _arrange(_check_boxes(raw, context.images, report), context.images, report)


@dataclass
class _RawObjects:
    """Columns of the annotations that name a known image and category."""

    ids: np.ndarray
    image_rows: np.ndarray
    class_ids: np.ndarray
    crowd: np.ndarray
    values: np.ndarray  # left, top, width, height; area, NaN if unknown

    def only(self, chosen: np.ndarray) -> _RawObjects:
        """Return the chosen rows: a mask or indices."""
        return _RawObjects(*(column[chosen] for column in vars(self).values()))


def _read_columns(
    entries: list[dict[str, Any]], context: ObjectContext, report: DatasetReport
) -> _RawObjects:
    """Go through all annotations once; COCO has 860 000, so nothing slow may happen here."""
    ids, rows, classes, crowd, values = array("q"), array("q"), array("q"), bytearray(), bytearray()
    pack = struct.Struct("=5d").pack  # refuses what is not a number
    unusable: dict[Finding, list[Any]] = {}
    row_of, class_of = context.row_of, context.class_of
    for entry in entries:
        row, class_id = row_of.get(entry["image_id"]), class_of.get(entry["category_id"])
        if row is None:
            unusable.setdefault(Finding.UNKNOWN_IMAGE, []).append(entry["image_id"])
        elif class_id is None:
            unusable.setdefault(Finding.UNKNOWN_CATEGORY, []).append(entry["category_id"])
        elif row != MISSING:
            try:
                left, top, width, height = entry["bbox"]
                area = entry.get("area")
                values += pack(left, top, width, height, math.nan if area is None else area)
            except (KeyError, TypeError, ValueError, OverflowError, struct.error):
                unusable.setdefault(Finding.MALFORMED, []).append(entry.get("bbox"))
                continue
            number = entry.get("id")
            ids.append(number if type(number) is int and abs(number) < 2**62 else NO_ID)
            rows.append(row)
            classes.append(class_id)
            crowd.append(bool(entry.get("iscrowd")))
    for finding, cases in unusable.items():
        report.add(finding, map(repr, cases[:SHOWN_CASES]), len(cases))
    return _RawObjects(
        np.array(ids, np.int64),
        np.array(rows, np.int64),
        np.array(classes, np.int64),
        np.frombuffer(crowd, bool),
        np.frombuffer(values, np.float64).reshape(-1, 5),
    )


def _check_boxes(raw: _RawObjects, images: ImageTable, report: DatasetReport) -> _RawObjects:
    """Leave out what cannot be used, turn boxes into corners, and clip them."""
    with np.errstate(over="ignore", invalid="ignore"):
        raw.values[:, 2:4] += raw.values[:, :2]
    corners, listed = raw.values[:, :4], images.sizes_hw[raw.image_rows, ::-1].astype(np.float64)
    limits = np.where(listed > 0, listed, np.inf)
    with np.errstate(invalid="ignore"):
        sides = corners[:, 2:] - corners[:, :2]
    clipped = np.clip(corners, 0, np.tile(limits, 2))
    tests = {
        Finding.NOT_FINITE: ~np.isfinite(corners).all(1),
        Finding.NEGATIVE_SIDE: (sides < 0).any(1),
        Finding.ZERO_AREA: (sides == 0).any(1),
        Finding.OUTSIDE: (clipped[:, 2:] <= clipped[:, :2]).any(1),
    }
    usable = np.ones(len(corners), bool)
    for finding, failed in tests.items():
        _report_rows(finding, usable & failed, raw, images, report)
        usable &= ~failed
    beyond = (np.abs(corners - clipped) > ROUNDING_PX).any(1)
    _report_rows(Finding.CLIPPED, usable & beyond, raw, images, report)
    raw.values[:, :4] = clipped
    return _without_repeats(raw.only(usable), images, report)


def _without_repeats(raw: _RawObjects, images: ImageTable, report: DatasetReport) -> _RawObjects:
    """Count shared ids; an object whose id, image, class and box return is listed twice."""
    _, first, inverse = np.unique(raw.ids, return_index=True, return_inverse=True)
    first_of = first[inverse]
    shared = (first_of != np.arange(len(raw.ids))) & (raw.ids != NO_ID)
    same = (
        (raw.values[:, :4] == raw.values[first_of, :4]).all(1)
        & (raw.image_rows == raw.image_rows[first_of])
        & (raw.class_ids == raw.class_ids[first_of])
    )
    _report_rows(Finding.OBJECT_REPEATED, shared & same, raw, images, report)
    _report_rows(Finding.ID_SHARED, shared & ~same, raw, images, report)
    kept = raw.only(~(shared & same))
    _report_rows(Finding.CROWD, kept.crowd, kept, images, report)
    return kept


def _arrange(raw: _RawObjects, images: ImageTable, report: DatasetReport) -> ObjectTable:
    """Sort the objects by image."""
    raw = raw.only(np.argsort(raw.image_rows, kind="stable"))
    count = len(images.ids)
    starts = np.searchsorted(raw.image_rows, np.arange(count + 1))
    singles = np.bincount(raw.image_rows[~raw.crowd], minlength=count)
    crowded = singles > TargetSpec.max_objects
    for finding, chosen in ((Finding.IMAGE_EMPTY, singles == 0), (Finding.IMAGE_CROWDED, crowded)):
        rows = np.flatnonzero(chosen)
        report.add(finding, map(images.name, rows[:SHOWN_CASES]), len(rows))
    boxes, areas = np.ascontiguousarray(raw.values[:, :4]), raw.values[:, 4]
    outlined = np.isfinite(areas) & (areas > 0)
    areas = np.where(outlined, areas, (boxes[:, 2:] - boxes[:, :2]).prod(1))
    return ObjectTable(boxes, raw.class_ids, areas, raw.crowd, starts)


def _report_rows(
    finding: Finding,
    chosen: np.ndarray,
    raw: _RawObjects,
    images: ImageTable,
    report: DatasetReport,
) -> None:
    """Count the chosen objects; the first ones are told by image and id."""
    cases = [
        images.name(raw.image_rows[row])
        + (f" object {raw.ids[row]}" if raw.ids[row] != NO_ID else "")
        for row in np.flatnonzero(chosen)[:SHOWN_CASES]
    ]
    report.add(finding, cases, int(chosen.sum()))
