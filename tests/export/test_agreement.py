"""Two runs of one network, compared frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from export.agreement import Agreement, box_iou, difference_table, match_rows

Rows = list[tuple[float, float, int]]


def outputs(rows: Rows, **maps: np.ndarray) -> dict[str, np.ndarray]:
    """Return one frame's outputs from (left edge, score, class) triples; boxes are 100 wide."""
    lefts, scores, classes = (np.array(column) for column in zip(*rows, strict=True))
    boxes = np.stack([lefts, 0 * lefts, lefts + 100, 0 * lefts + 100], axis=1)
    return {
        "boxes": boxes[None].astype(np.float32),
        "scores": scores[None].astype(np.float32),
        "class_ids": classes[None].astype(np.int32),
        "corner_scores": np.repeat(scores[None, :, None], 2, axis=2).astype(np.float32),
        **maps,
    }


def agreement(mine: Rows, theirs: Rows) -> Agreement:
    result = Agreement()
    result.add(outputs(mine), outputs(theirs))
    return result


EMPTY = (0.0, -1.0, 0)


@pytest.mark.parametrize(
    ("mine", "theirs", "wanted", "matched"),
    [
        ([(0, 0.9, 0), EMPTY], [(0, 0.9, 0), EMPTY], 2, 2),
        ([(0, 0.9, 0), (300, 0.8, 1)], [(300, 0.8, 1), (0, 0.9, 0)], 4, 4),
        ([(0, 0.9, 0), EMPTY], [(2, 0.9, 0), EMPTY], 2, 2),  # IoU 98/102
        ([(0, 0.9, 0), EMPTY], [(3, 0.9, 0), EMPTY], 2, 0),  # IoU 97/103
        ([(0, 0.9, 0), EMPTY], [(0, 0.9, 1), EMPTY], 2, 0),
        ([(0, 0.9, 0), EMPTY], [EMPTY, EMPTY], 1, 0),
        ([EMPTY, EMPTY], [(0, 0.9, 0), EMPTY], 1, 0),
        ([(0, 0.301, 0), EMPTY], [(0, 0.299, 0), EMPTY], 1, 1),
        ([(0, 0.2, 0), EMPTY], [EMPTY, EMPTY], 0, 0),
        ([(0, 0.9, 0), (0, 0.8, 0)], [(0, 0.9, 0), EMPTY], 3, 2),
    ],
    ids=[
        "same",
        "another order",
        "slightly moved",
        "moved too far",
        "another class",
        "missing",
        "invented",
        "a score across the threshold",
        "below the threshold",
        "one partner serves one row",
    ],
)
def test_sure_rows_of_both_sides_need_a_partner(
    mine: Rows, theirs: Rows, wanted: int, matched: int
) -> None:
    result = agreement(mine, theirs)
    assert (result.wanted, result.matched) == (wanted, matched)
    assert result.matched_share == (matched / wanted if wanted else 1.0)


def test_equal_boxes_are_paired_by_score() -> None:
    rows, others = (outputs(r) for r in ([(0, 0.9, 0), (0, 0.5, 0)], [(0, 0.51, 0), (0, 0.9, 0)]))
    first = [{name: value[0] for name, value in side.items()} for side in (rows, others)]
    assert match_rows(*first) == [(0, 1), (1, 0)]


def test_boxes_without_corner_scores_and_other_maps_are_compared() -> None:
    heat = np.ones((1, 1, 2, 2), np.float32)
    sides = [outputs([(0, 0.9, 0)], hm=heat), outputs([(0, 0.8, 0)], hm=heat * 1.5)]
    for side in sides:
        del side["corner_scores"]
    result = Agreement()
    result.add(*sides)
    assert [difference.name for difference in result.maps()] == ["hm"]
    assert set(result.differences) == {"hm", "boxes", "scores"}
    assert result.matched_share == 1.0


def test_attention_maps_count_as_maps() -> None:
    result = Agreement()
    result.add(*(outputs([EMPTY], att0=np.full((1, 1, 2, 2), v, np.float32)) for v in (0.5, 0.6)))
    (difference,) = result.maps()
    assert difference.name == "att0"
    assert difference.relative == pytest.approx(0.2)


def test_differences_widen_over_frames() -> None:
    result = Agreement()
    heat = np.float32([[1.0, -4.0]])
    for offset in (0.1, 0.3, 0.2):
        result.add(outputs([EMPTY], tl_heat=heat), outputs([EMPTY], tl_heat=heat + offset))
    (difference,) = result.maps()
    assert difference.name == "tl_heat"
    assert difference.largest_difference == pytest.approx(0.3, abs=1e-6)
    assert difference.relative == pytest.approx(0.3 / 4, abs=1e-6)
    assert result.frames == 3


def test_detection_outputs_are_compared_over_matched_rows() -> None:
    result = agreement([(0, 0.9, 0), (300, 0.8, 0)], [(1, 0.85, 0), (600, 0.8, 0)])
    assert result.differences["boxes"].largest_difference == 1.0
    assert result.differences["scores"].largest_difference == pytest.approx(0.05)
    assert "tl_heat" not in result.differences


def test_a_map_that_only_one_side_shows_is_left_out() -> None:
    result = Agreement()
    result.add(outputs([EMPTY], tl_heat=np.ones(3)), outputs([EMPTY]))
    assert result.maps() == []


def test_not_a_number_agrees_with_nothing() -> None:
    result = Agreement()
    heat = np.float32([1.0, 2.0])
    result.add(outputs([EMPTY], br_off=heat), outputs([EMPTY], br_off=heat * np.float32(np.nan)))
    result.add(outputs([EMPTY], br_off=heat), outputs([EMPTY], br_off=heat))
    assert result.maps()[0].relative == np.inf


def test_overlap_of_boxes() -> None:
    boxes = np.float32([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 0, 0]])
    assert box_iou(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0, 0])
    assert box_iou(boxes[3], boxes) == pytest.approx([0, 0, 0, 0])


def test_the_table_holds_a_line_per_output() -> None:
    result = agreement([(0, 0.9, 0)], [(1, 0.9, 0)])
    lines = difference_table(result.differences.values()).splitlines()
    assert [line.split()[0] for line in lines] == ["output", "boxes", "scores", "corner_scores"]
    assert lines[1].split()[1:] == ["1.000e+00", "1.000e+02", "1.0e-02"]
