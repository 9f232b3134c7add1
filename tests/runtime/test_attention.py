"""Places to look at, against what the published code left, and at the limits."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.attention import (
    Seen,
    attention_peaks,
    places_from_attention,
    places_from_boxes,
    suppress_places,
)
from tests.runtime.saccade_golden import read_golden

GOLDEN = read_golden()
IMAGE_HW = (217, 331)


def empty_maps(crops: int = 1) -> list[np.ndarray]:
    return [np.zeros((crops, 1, side, side), np.float32) for side in (4, 8, 16)]


def seen(scale: float, offset_yx: tuple[int, int] = (0, 0)) -> Seen:
    return Seen(np.float32([scale]), np.float32([offset_yx]), (100, 200))


@pytest.mark.parametrize("index", range(3))
def test_peaks_are_the_published_ones(index: int) -> None:
    scores = GOLDEN[f"call0/att{index}"]
    before = scores.copy()
    peaks = attention_peaks(scores)
    np.testing.assert_array_equal(peaks, GOLDEN[f"att_after_nms{index}"], strict=True)
    np.testing.assert_array_equal(scores, before)


def test_all_cells_of_a_plateau_are_peaks_and_borders_hide_nothing() -> None:
    scores = np.float32([[[[0.5, 0.5, 0.0], [0.2, 0.1, 0.0], [0.0, 0.0, 0.0]]]])
    peaks = attention_peaks(scores)
    assert peaks[0, 0].tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0, 0, 0]]


def test_attended_places_are_the_published_ones() -> None:
    peaks = [GOLDEN[f"att_after_nms{index}"] for index in range(3)]
    looked = Seen(GOLDEN["decode_scales"], GOLDEN["decode_offsets"], IMAGE_HW)
    got = places_from_attention(peaks, looked)
    np.testing.assert_array_equal(got, GOLDEN["decode_atts_out"], strict=True)


def test_one_place_by_hand() -> None:
    maps = empty_maps()
    maps[1][0, 0, 3, 5] = 0.7  # stride 8: row 24, column 40 of the crop
    got = places_from_attention(maps, seen(0.5, (-10, 20)))
    np.testing.assert_allclose(got, [[24 / 0.5 - 10, 40 / 0.5 + 20, 1.0, 0.7]], rtol=1e-7)


@pytest.mark.parametrize(("score", "count"), [(0.3, 0), (0.301, 1)])
def test_a_place_lies_above_the_threshold(score: float, count: int) -> None:
    maps = empty_maps()
    maps[0][0, 0, 1, 1] = np.float32(score)
    assert len(places_from_attention(maps, seen(0.5), np.float32(0.3))) == count


@pytest.mark.parametrize("offset_yx", [(-33, 0), (0, -49), (68, 0), (0, 152)])
def test_places_beside_the_image_are_left_out(offset_yx: tuple[int, int]) -> None:
    maps = empty_maps()
    maps[0][0, 0, 2, 3] = 0.9  # row 32, column 48 of the crop
    assert len(places_from_attention(maps, seen(1.0, (0, 0)))) == 1
    assert len(places_from_attention(maps, seen(1.0, offset_yx))) == 0


@pytest.mark.parametrize(("scale", "zooms"), [(1.0, [1, 2, 4]), (1.5, [1.5, 3]), (2.5, [])])
def test_what_is_large_already_is_not_enlarged(scale: float, zooms: list[float]) -> None:
    maps = empty_maps()
    for grid in maps:
        grid[0, 0, 1, 1] = 0.9
    assert places_from_attention(maps, seen(scale))[:, 2].tolist() == zooms


def test_places_of_boxes_are_the_published_ones() -> None:
    rows = GOLDEN["ref_in"]
    got = places_from_boxes(rows[rows[:, 4] > 0.5, :4])
    np.testing.assert_array_equal(got, GOLDEN["ref_out"], strict=True)


@pytest.mark.parametrize(
    ("side", "target"), [(200, 192), (97, 192), (96, 64), (33, 64), (32, 24), (10, 24)]
)
def test_boxes_are_brought_to_the_size_of_their_kind(side: float, target: float) -> None:
    box = np.float32([[10, 20, 10 + side, 22]])
    y, x, scale, score = places_from_boxes(box)[0]
    assert (y, x, score) == (21, 10 + side / 2, 1)
    assert scale * side == pytest.approx(target)


def test_a_box_without_extent_asks_for_a_bounded_zoom() -> None:
    assert places_from_boxes(np.float32([[5, 5, 5, 5]]))[0, 2] == 24
    assert places_from_boxes(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_suppression_is_the_published_one() -> None:
    before = GOLDEN["nms_in"].copy()
    got = suppress_places(GOLDEN["nms_in"])
    np.testing.assert_array_equal(got, GOLDEN["nms_out"], strict=True)
    np.testing.assert_array_equal(GOLDEN["nms_in"], before)


@pytest.mark.parametrize("count", [0, 1, 30])
def test_a_count_keeps_the_best(count: int) -> None:
    got = suppress_places(GOLDEN["nms_in"], count)
    np.testing.assert_array_equal(got, GOLDEN["nms_out"][:count])


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        ((0, 7, 2.0, 0.5), 1),  # 16 network pixels are 8 image pixels at scale 2
        ((0, 9, 2.0, 0.5), 1),  # near in y is near enough, however far in x
        ((9, 9, 2.0, 0.5), 2),
        ((0, 0, 2.6, 0.5), 2),  # seen at another zoom: ratio 0.77
        ((0, 0, 2.4, 0.5), 1),
        ((0, 0, 1.6, 0.5), 2),
        ((0, 0, 1.7, 0.5), 1),
    ],
)
def test_places_that_see_the_same_by_hand(other: tuple[float, ...], kept: int) -> None:
    places = np.array([other, (0, 0, 2.0, 0.9)])
    got = suppress_places(places)
    assert len(got) == kept
    assert got[0].tolist() == [0, 0, 2.0, 0.9]


def test_of_equal_scores_the_later_comes_first() -> None:
    places = np.array([(0, 0, 1.0, 1.0), (50, 50, 1.0, 1.0), (90, 90, 1.0, 0.5)])
    assert suppress_places(places)[:, 0].tolist() == [50, 0, 90]


def test_no_places_give_none() -> None:
    assert suppress_places(np.zeros((0, 4))).shape == (0, 4)
    assert places_from_attention(empty_maps(), seen(1.0)).shape == (0, 4)
