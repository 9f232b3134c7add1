"""Counts of anchors against the totals that the papers print, and corners against hand counts."""

from __future__ import annotations

import json

import pytest

from benchmarks.anchors import (
    COMPARED_SIDES_PX,
    DESIGNS,
    anchor_facts,
    corner_count,
    dssd_boxes,
    faster_rcnn_boxes,
    fpn_boxes,
    retinanet_boxes,
    ssd300_boxes,
    ssd512_boxes,
)
from runtime.errors import UsageError


@pytest.mark.parametrize(
    ("count", "side", "published"), [(ssd300_boxes, 300, 8732), (ssd512_boxes, 512, 24564)]
)
def test_ssd_has_the_published_totals(count, side, published):
    assert count((side, side)) == published


def test_ssd300_is_the_sum_over_its_six_published_maps():
    maps = ((38, 4), (19, 6), (10, 6), (5, 6), (3, 4), (1, 4))
    assert ssd300_boxes((300, 300)) == sum(side**2 * boxes for side, boxes in maps)


def test_dssd_has_more_than_forty_thousand():
    assert dssd_boxes((513, 513)) == 43_688  # 8 on each of 64, 32, 16, 8, 4, 2 and 1 squared
    assert dssd_boxes((513, 513)) > 40_000


def test_retinanet_has_more_than_a_hundred_thousand_at_its_test_scale():
    levels = (100, 50, 25, 13, 7)
    assert retinanet_boxes((800, 800)) == 9 * sum(side**2 for side in levels) > 100_000
    assert retinanet_boxes((800, 1333)) > retinanet_boxes((800, 800))


def test_faster_rcnn_has_roughly_twenty_thousand_on_a_typical_image():
    assert faster_rcnn_boxes((600, 1000)) == 38 * 63 * 9
    assert faster_rcnn_boxes((600, 1000)) == pytest.approx(20_000, rel=0.1)


def test_the_pyramid_counts_every_level_once():
    assert fpn_boxes((512, 256)) == 3 * (128 * 64 + 64 * 32 + 32 * 16 + 16 * 8 + 8 * 4)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_a_single_pixel_still_has_a_cell_on_every_map(design):
    if design.name == "DSSD":  # its unpadded pooling needs 5 pixels
        assert design.count((5, 5)) > 0
    else:
        assert design.count((1, 1)) > 0


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_height_and_width_count_alike(design):
    assert design.count((320, 512)) == design.count((512, 320))
    assert design.count((320, 320)) < design.count((320, 512)) < design.count((512, 512))


def test_corners_of_the_published_network_at_511():
    count = corner_count("cornernet-hourglass104", (511, 511))
    assert count.cells == 2 * 128 * 128
    assert (count.corners, count.pairs, count.boxes) == (200, 100 * 100, 1000)
    assert count.expressible == (128 * 127 // 2) ** 2


def test_expressible_boxes_of_a_tiny_map_counted_by_hand():
    # 12x8 pixels are 3 rows and 2 columns: rows (0,1), (0,2), (1,2) and columns (0,1).
    assert corner_count("cornernet-nano", (12, 8)).expressible == 3


def test_an_unknown_model_is_refused():
    with pytest.raises(UsageError, match="unknown model 'ssd'"):
        corner_count("ssd", (320, 320))


def test_facts_are_json_with_a_column_per_size():
    facts = json.loads(json.dumps(anchor_facts(["cornernet-nano"])))
    assert facts["compared_sides_px"] == list(COMPARED_SIDES_PX)
    rows = facts["designs"] + facts["corners"]
    assert all(len(row["compared"]) == len(COMPARED_SIDES_PX) for row in rows)
    (ssd300,) = [row for row in facts["designs"] if row["name"] == "SSD300"]
    assert (ssd300["published_hw"], ssd300["published"]) == ([300, 300], 8732)
    assert facts["corners"][0]["name"] == "cornernet-nano"
