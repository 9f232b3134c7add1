"""Objects of annotation files: bad boxes are counted and left out, never met in a run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.coco_objects import MISSING, ObjectContext, read_objects
from detectors.dataset_report import DatasetReport, Finding
from detectors.examples import ImageTable
from tests.detectors.coco_files import annotation

# Images 10 (32 x 48 pixels) and 11 (size unknown); the file of image 12 is missing.
IMAGES = ImageTable(
    np.array([10, 11]), np.array([[32, 48], [0, 0]], np.int32), b"a.pngb.png", np.array([0, 5, 10])
)
CONTEXT = ObjectContext({10: 0, 11: 1, 12: MISSING}, {3: 0, 7: 1}, IMAGES)


def read(*entries):
    report = DatasetReport()
    table = read_objects(list(entries), CONTEXT, report)
    counts = {f: n for f, n in report.counts.items() if f is not Finding.IMAGE_EMPTY}
    return table, counts, report.cases


def test_objects_are_ordered_by_image_and_keep_their_order_there():
    table, counts, _ = read(
        annotation(11, bbox=[1, 1, 2, 2]),
        annotation(10, bbox=[2, 2, 2, 2]),
        annotation(11, 7, bbox=[3, 3, 2, 2]),
        annotation(10, bbox=[4, 4, 2, 2]),
    )
    assert table.boxes_xyxy[:, 0].tolist() == [2, 4, 1, 3]
    assert table.starts.tolist() == [0, 2, 4] and table.class_ids.tolist() == [0, 0, 0, 1]
    assert table.boxes_xyxy.dtype == np.float64 and not counts
    alternating = [annotation(10 + i % 2, bbox=[i % 47, 1, 1, 1 + i]) for i in range(94)]
    table, _, _ = read(*alternating)
    assert table.boxes_xyxy[:47, 0].tolist() == [i % 47 for i in range(0, 94, 2)]


@pytest.mark.parametrize(
    ("bbox", "finding"),
    [
        ([1, 1, 0, 5], Finding.ZERO_AREA),
        ([1, 1, 5, 0.0], Finding.ZERO_AREA),
        ([9, 9, -3, 5], Finding.NEGATIVE_SIDE),
        ([9, 9, 0, -5], Finding.NEGATIVE_SIDE),
        ([math.nan, 1, 5, 5], Finding.NOT_FINITE),
        ([1, 1, math.nan, 5], Finding.NOT_FINITE),
        ([1, 1, 5, math.inf], Finding.NOT_FINITE),
        ([-math.inf, 1, 5, 5], Finding.NOT_FINITE),
        ([-math.inf, 1, math.inf, 5], Finding.NOT_FINITE),
        ([1.7e308, 1, 1.7e308, 5], Finding.NOT_FINITE),
        ([48, 1, 5, 5], Finding.OUTSIDE),
        ([1, 32, 5, 5], Finding.OUTSIDE),
        ([-9, 1, 9, 5], Finding.OUTSIDE),
        ([1, 2, 3], Finding.MALFORMED),
        ([1, 2, 3, 4, 5], Finding.MALFORMED),
        ([1, 2, 3, "4"], Finding.MALFORMED),
        ([1, 2, 3, None], Finding.MALFORMED),
        ([1, 2, 3, 10**400], Finding.MALFORMED),
        (["a", "b", "c", "d"], Finding.MALFORMED),
        (None, Finding.MALFORMED),
        (7, Finding.MALFORMED),
        ({}, Finding.MALFORMED),
    ],
)
def test_an_unusable_box_is_counted_once_and_left_out(bbox, finding):
    table, counts, cases = read(annotation(bbox=[5, 6, 7, 8], id=1), annotation(bbox=bbox, id=2))
    assert table.boxes_xyxy.tolist() == [[5, 6, 12, 14]]
    assert counts == {finding: 1}
    if finding is not Finding.MALFORMED:
        assert cases[finding] == ["a.png object 2"]


def test_an_object_without_box_is_malformed():
    _, counts, cases = read({"image_id": 10, "category_id": 3})
    assert counts == {Finding.MALFORMED: 1} and cases[Finding.MALFORMED] == ["None"]


def test_boxes_over_an_edge_are_clipped_and_counted():
    table, counts, cases = read(
        annotation(bbox=[-5, -6, 20, 20]),
        annotation(bbox=[40, 20, 20, 20]),
        annotation(bbox=[40, 20, 8.04, 12]),  # rounding
        annotation(bbox=[0, 0, 48, 32]),
    )
    expected = [[0, 0, 15, 14], [40, 20, 48, 32], [40, 20, 48, 32], [0, 0, 48, 32]]
    assert table.boxes_xyxy.tolist() == expected
    assert counts == {Finding.CLIPPED: 2} and cases[Finding.CLIPPED] == ["a.png", "a.png"]


def test_on_an_image_of_unknown_size_only_the_upper_left_is_checked():
    table, counts, _ = read(
        annotation(11, bbox=[900, 900, 9, 9]),
        annotation(11, bbox=[-4, 1, 9, 9]),
        annotation(11, bbox=[-4, 1, 3, 9]),
    )
    assert table.boxes_xyxy.tolist() == [[900, 900, 909, 909], [0, 1, 5, 10]]
    assert counts == {Finding.OUTSIDE: 1, Finding.CLIPPED: 1}


def test_unknown_images_and_categories_are_named():
    table, counts, cases = read(
        annotation(99), annotation(10, 4), annotation(99, 4), annotation("x"), annotation()
    )
    assert len(table.boxes_xyxy) == 1
    assert counts == {Finding.UNKNOWN_IMAGE: 3, Finding.UNKNOWN_CATEGORY: 1}
    assert cases[Finding.UNKNOWN_IMAGE] == ["99", "99", "'x'"]
    assert cases[Finding.UNKNOWN_CATEGORY] == ["4"]


def test_objects_of_missing_images_are_not_counted_again():
    table, counts, _ = read(annotation(12), annotation(12, bbox=None))
    assert table.boxes_xyxy.shape == (0, 4) and not counts


def test_crowds_are_marked_and_counted():
    table, counts, _ = read(annotation(), annotation(bbox=[1, 1, 9, 9], iscrowd=1))
    assert table.crowd.tolist() == [False, True] and counts == {Finding.CROWD: 1}


def test_what_is_listed_twice_counts_once_and_shared_ids_are_told():
    table, counts, cases = read(
        annotation(id=5),
        annotation(id=5),  # the same again
        annotation(id=5, bbox=[1, 1, 2, 2]),  # another object with its id
        annotation(11, id=5),
        annotation(10, 7, id=5),
        annotation(id=6),
        annotation(),  # without id nothing can be shared
        annotation(),
    )
    assert len(table.boxes_xyxy) == 7
    assert counts == {Finding.OBJECT_REPEATED: 1, Finding.ID_SHARED: 3}
    assert cases[Finding.ID_SHARED] == ["a.png object 5", "b.png object 5", "a.png object 5"]


def test_areas_come_from_the_outline_or_else_from_the_box():
    areas = (77, None, math.nan, -1, 0)
    table, counts, _ = read(*(annotation(area=area) for area in areas), annotation())
    assert table.areas.tolist() == [77, 200, 200, 200, 200, 200] and not counts


def test_no_objects_at_all_leave_empty_arrays():
    table, counts, _ = read()
    assert table.boxes_xyxy.shape == (0, 4) and table.starts.tolist() == [0, 0, 0] and not counts


def test_more_objects_than_targets_have_rows_are_kept_and_told():
    boxes = [annotation(bbox=[i % 40, i % 30, 1, 1]) for i in range(129)]
    table, counts, cases = read(*boxes, *(annotation(11) for _ in range(128)))
    assert len(table.boxes_xyxy) == 257 and counts == {Finding.IMAGE_CROWDED: 1}
    assert cases[Finding.IMAGE_CROWDED] == ["a.png"]


@pytest.mark.parametrize("entry", ["x", None, {"bbox": [1, 2, 3, 4]}, annotation([10])])
def test_entries_that_are_not_cocos_are_errors(entry):
    with pytest.raises((AttributeError, KeyError, TypeError)):
        read(entry)
