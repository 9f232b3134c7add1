"""Each failure on maps made for it."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.explain_corners import Gate, Pair, Pairing
from detectors.explain_failures import (
    Failures,
    Objects,
    find_failures,
    find_unpaired,
    match_objects,
    overlap_with,
)
from tests.detectors.explained import Peak, one_object, pairing_of

THRESHOLD = 0.3


def shown_of(pairing: Pairing) -> list[Pair]:
    return [pair for pair in pairing.pairs(20) if pair.score >= THRESHOLD]


def objects_of(*rows: tuple[float, float, float, float, int]) -> Objects:
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Objects(table[:, :4], table[:, 4].astype(np.int64))


def failures_of(*peaks: Peak, objects: Objects | None = None) -> Failures:
    pairing = pairing_of(*peaks)
    return find_failures(pairing, shown_of(pairing), THRESHOLD, objects)


def test_a_good_image_has_no_failure() -> None:
    failures = failures_of(*one_object(), objects=objects_of((4, 5, 12, 14, 1)))
    assert failures == Failures((), (), (), ())


def test_an_empty_image_with_and_without_objects() -> None:
    assert failures_of() == Failures((), (), (), ())
    failures = failures_of(objects=objects_of((4, 5, 12, 14, 1)))
    (missed,) = failures.missed
    assert (missed.index, missed.corners, missed.distance) == (0, (None, None), None)


@pytest.mark.parametrize(
    ("other", "failed"),
    [
        (Peak("br", 12, 14, 1, 0.8, 2.0), (Gate.EMBEDDING,)),
        (Peak("br", 12, 14, 2, 0.8, 0.0), (Gate.CLASS,)),
        (Peak("br", 2, 2, 1, 0.8, 0.0), (Gate.POSITION,)),
        (Peak("br", 12, 14, 1, 0.05, 0.0), (Gate.SCORE,)),
    ],
)
def test_a_corner_alone_has_its_reason(other: Peak, failed: tuple[Gate, ...]) -> None:
    found = failures_of(one_object()[0], other).unpaired[0]
    assert (found.corner.kind, found.corner.score) == ("tl", pytest.approx(0.9))
    assert found.nearest is not None
    assert found.nearest.cell_xy == (other.x, other.y)
    assert found.failed == failed
    assert found.distance == pytest.approx(other.embedding)


def test_the_partner_with_the_fewest_failed_tests_is_named_then_the_strongest() -> None:
    found = failures_of(
        one_object()[0],
        Peak("br", 20, 20, 2, 0.95, 9.0),
        Peak("br", 12, 14, 1, 0.6, 2.0),
        Peak("br", 18, 9, 1, 0.7, -2.0),
    ).unpaired[1]
    assert found.corner.kind == "tl"
    assert found.nearest is not None
    assert (found.nearest.cell_xy, found.failed) == ((18, 9), (Gate.EMBEDDING,))


def test_a_corner_whose_box_was_removed_failed_nothing() -> None:
    pairing = pairing_of(*one_object())
    found = find_unpaired(pairing, [], THRESHOLD)
    assert [corner.failed for corner in found] == [(), ()]


def test_weak_corners_are_not_reported() -> None:
    weak = [peak._replace(score=0.29) for peak in one_object()]
    assert failures_of(*weak).unpaired == ()


def test_a_second_partner_makes_a_pair_ambiguous_for_both_of_its_boxes() -> None:
    failures = failures_of(*one_object(), Peak("br", 16, 18, 1, 0.7, 0.3))
    assert [(a.corner.kind, a.rival.cell_xy) for a in failures.ambiguous] == [
        ("tl", (16, 18)),
        ("tl", (12, 14)),
    ]
    assert failures.ambiguous[0].rival_distance == pytest.approx(0.3)


@pytest.mark.parametrize(
    "rival",
    [
        Peak("br", 16, 18, 1, 0.7, 0.6),
        Peak("br", 16, 18, 2, 0.7, 0.0),
        Peak("br", 2, 18, 1, 0.7, 0.0),
        Peak("br", 16, 18, 1, 0.05, 0.0),
    ],
)
def test_a_partner_that_fails_a_test_raises_no_doubt(rival: Peak) -> None:
    assert failures_of(*one_object(), rival).ambiguous == ()


def test_a_box_over_two_objects_is_wrong_and_names_both() -> None:
    objects = objects_of((4, 5, 8, 9, 1), (10, 11, 12, 14, 1))
    failures = failures_of(*one_object(), objects=objects)
    assert [found.owners for found in failures.wrong] == [(0, 1)]
    first, second = failures.missed
    assert (first.corners[0] is not None, first.corners[1]) == (True, None)
    assert (second.corners[0], second.corners[1] is not None) == (None, True)


def test_a_box_that_overlaps_an_object_by_half_is_wrong_with_a_corner_of_another() -> None:
    objects = objects_of((4, 5, 14, 16, 1), (9, 9, 12, 14, 1))
    failures = failures_of(*one_object(), objects=objects)
    assert [found.owners for found in failures.wrong] == [(0, 1)]
    assert [found.index for found in failures.missed] == [1]


def test_a_box_where_nothing_is_annotated_is_wrong_and_owned_by_none() -> None:
    (wrong,) = failures_of(*one_object(), objects=objects_of((4, 5, 12, 14, 2))).wrong
    assert wrong.owners == (None, None)


def test_a_missed_object_tells_how_far_its_corners_are_apart() -> None:
    first, second = one_object()
    far = second._replace(embedding=1.25)
    (missed,) = failures_of(first, far, objects=objects_of((4, 5, 12, 14, 1))).missed
    assert missed.failed == (Gate.EMBEDDING,)
    assert missed.distance == pytest.approx(1.25)


def test_a_missed_object_tells_of_a_weak_corner() -> None:
    first, second = one_object()
    weak = second._replace(score=0.05)
    (missed,) = failures_of(first, weak, objects=objects_of((4, 5, 12, 14, 1))).missed
    assert missed.failed == (Gate.SCORE,)
    assert missed.corners[1] is not None
    assert missed.corners[1].score == pytest.approx(0.05)


def test_each_object_is_found_once_by_the_best_box() -> None:
    pairing = pairing_of(*one_object(), Peak("br", 14, 16, 1, 0.7, 0.2))
    shown = shown_of(pairing)
    assert match_objects(shown, objects_of((4, 5, 12, 14, 1))) == [0, None]


@pytest.mark.parametrize(("x", "owner"), [(4, 0), (5, 0), (7, None)])
def test_a_corner_belongs_to_the_object_within_its_radius(x: int, owner: int | None) -> None:
    corner = pairing_of(Peak("tl", x, 5, 1, 0.9, 0.0)).top_left[0]
    assert objects_of((4, 5, 12, 14, 1)).owner_of(corner) == owner


def test_of_two_objects_the_nearer_one_owns_a_corner() -> None:
    corner = pairing_of(Peak("tl", 5, 5, 1, 0.9, 0.0)).top_left[0]
    assert objects_of((4, 5, 12, 14, 1), (5, 5, 12, 14, 1)).owner_of(corner) == 1


def test_overlaps_by_hand() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1]], np.float64)
    assert overlap_with((0, 0, 2, 2), boxes).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert overlap_with((0, 0, 2, 2), np.zeros((0, 4))).shape == (0,)
