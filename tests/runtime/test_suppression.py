"""Soft-NMS against the arrays that the published code left behind, and against simple pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from runtime.suppression import NmsMethod, hard_nms, soft_nms, soft_nms_merge

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "soft_nms.npz"
ARRAYS = dict(np.load(GOLDEN))
SETTINGS = re.compile(r"_m(?P<method>\d)_Nt(?P<nt>[\d.]+)_s(?P<sigma>[\d.]+)_t(?P<t>[\d.]+)")


def keys(kind: str) -> list[str]:
    return [k for k in ARRAYS if f"/{kind}" in k and not k.endswith("nkeep")]


def boxes_key(key: str) -> str:
    return key.split("/", maxsplit=1)[0] + "/boxes"


def settings(key: str) -> tuple[int, float, float, float]:
    match = SETTINGS.search(key)
    assert match
    return int(match["method"]), float(match["nt"]), float(match["sigma"]), float(match["t"])


def test_golden_data_is_there() -> None:
    assert len(keys("soft_m")) == 42
    assert len(keys("merge_m")) == 63
    assert len(keys("hard_nms")) == 10


@pytest.mark.parametrize("key", keys("soft_m"))
def test_soft_nms_is_the_published_array_bit_for_bit(key: str) -> None:
    boxes = ARRAYS[boxes_key(key)][:, :5].copy()
    kept = soft_nms(boxes, *settings(key))
    np.testing.assert_array_equal(boxes, ARRAYS[key])
    assert len(kept) == ARRAYS[key + "_nkeep"]


@pytest.mark.parametrize("key", keys("soft7"))
def test_further_columns_stay_where_they_are(key: str) -> None:
    boxes = ARRAYS[boxes_key(key)].copy()
    kept = soft_nms(boxes, NmsMethod.GAUSSIAN, 0.5)
    np.testing.assert_array_equal(boxes, ARRAYS[key])
    assert len(kept) == ARRAYS[key + "_nkeep"]


@pytest.mark.parametrize("key", keys("merge_m"))
def test_merge_is_the_published_array(key: str) -> None:
    boxes = ARRAYS[boxes_key(key)].copy()
    weight_exponent = float(key.rsplit("_w", 1)[1])
    kept = soft_nms_merge(boxes, *settings(key), weight_exponent=weight_exponent)
    np.testing.assert_array_equal(boxes, ARRAYS[key])
    assert len(kept) == ARRAYS[key + "_nkeep"]


@pytest.mark.parametrize("key", keys("hard_nms"))
def test_hard_nms_keeps_the_published_boxes(key: str) -> None:
    boxes = ARRAYS[boxes_key(key)]
    np.testing.assert_array_equal(hard_nms(boxes, float(key.rsplit("_", 1)[1])), ARRAYS[key])


def test_hard_nms_does_not_change_its_input() -> None:
    boxes = ARRAYS["n12/boxes"].copy()
    hard_nms(boxes, 0.5)
    np.testing.assert_array_equal(boxes, ARRAYS["n12/boxes"])


def test_a_distant_box_keeps_its_score() -> None:
    boxes = np.array([[0, 0, 9, 9, 0.5], [100, 100, 109, 109, 0.9]], np.float32)
    kept = soft_nms(boxes)
    np.testing.assert_array_equal(kept[:, 4], np.float32([0.9, 0.5]))


def test_a_distant_box_stays_even_below_the_threshold() -> None:
    boxes = np.array([[0, 0, 9, 9, 0.9], [100, 100, 109, 109, 0.01]], np.float32)
    assert len(soft_nms(boxes, score_threshold=0.1)) == 2


def test_an_identical_box_falls_by_the_gaussian_of_one() -> None:
    boxes = np.array([[0, 0, 9, 9, 0.9], [0, 0, 9, 9, 0.8]], np.float32)
    kept = soft_nms(boxes, NmsMethod.GAUSSIAN, sigma=0.5)
    np.testing.assert_allclose(kept[1, 4], 0.8 * np.exp(-2), rtol=1e-6)


def test_none_sorts_and_lowers_nothing() -> None:
    rows = np.array([[0, 0, 9, 9, 0.8], [0, 0, 9, 9, 0.9], [1, 0, 9, 9, 0.85]], np.float32)
    kept = soft_nms(rows.copy(), NmsMethod.NONE)
    np.testing.assert_array_equal(kept, rows[[1, 2, 0]])
    scored = np.column_stack([rows, rows[:, 4], rows[:, 4]])
    np.testing.assert_array_equal(soft_nms_merge(scored, NmsMethod.NONE)[:, :5], rows[[1, 2, 0]])


def test_the_result_is_a_view_of_the_survivors() -> None:
    boxes = np.array([[0, 0, 9, 9, 0.9], [0, 0, 9, 9, 0.8]], np.float32)
    kept = soft_nms(boxes, NmsMethod.HARD)
    assert kept.shape == (1, 5)
    assert np.shares_memory(kept, boxes)


@pytest.mark.parametrize(
    ("boxes", "method", "message"),
    [
        (np.zeros((3, 5)), 2, r"float64 \(3, 5\); expected float32"),
        (np.zeros((3, 4), np.float32), 2, r"float32 \(3, 4\); expected float32 \(N, 5"),
        (np.zeros(5, np.float32), 2, r"\(5,\)"),
        (np.zeros((3, 5), np.float32), 7, "7 is not a valid NmsMethod"),
    ],
)
def test_wrong_arguments_are_refused(boxes: np.ndarray, method: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        soft_nms(boxes, method)


def test_merge_needs_corner_scores() -> None:
    with pytest.raises(ValueError, match="7 or more"):
        soft_nms_merge(np.zeros((3, 5), np.float32))
