"""Every crossing of a line counts once, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from runtime.line_counter import Direction, LineCounter, Sightings
from runtime.zones import Line, Point

HW = (200, 400)
# From left to right, so that "in", on its right, is below it.
ACROSS = Line("across", ((0.25, 0.5), (0.75, 0.5)))
SIDE_PX = 40.0  # a box of this side is across once it is 4 pixels beyond
Walk = Sequence[Point | None]  # in pixels; None where the object is not seen


def walk(counter: LineCounter, points: Walk, track_id: int = 1, start_s: float = 0.0) -> list[str]:
    """Return the crossings of one object that is seen 30 times a second."""
    crossings = []
    for number, point in enumerate(points):
        found = [] if point is None else [(point[0] / HW[1], point[1] / HW[0])]
        crossings += counter.update(
            sightings(found, [track_id] * len(found), start_s + number / 30)
        )
    return [direction.value for _, direction in crossings]


def sightings(
    points: Sequence[Point], ids: Sequence[int], time_s: float, image_hw: tuple[int, int] = HW
) -> Sightings:
    sides = np.full(len(ids), SIDE_PX)
    return Sightings(
        np.array(ids, np.int64), np.array(points).reshape(-1, 2), sides, image_hw, time_s
    )


def new_counter(line: Line = ACROSS) -> LineCounter:
    return LineCounter(line, forget_after_s=1.0)


def straight(*ys: float | None, x: float = 200.0) -> Walk:
    return [None if y is None else (x, y) for y in ys]


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        ("down", straight(*range(60, 141, 5)), ["in"]),
        ("up", straight(*range(140, 59, -5)), ["out"]),
        ("there and back", straight(*range(60, 141, 5), *range(140, 59, -5)), ["in", "out"]),
        ("jump between two pictures", straight(20, 180), ["in"]),
        ("jump and back", straight(20, 180, 20), ["in", "out"]),
        ("appears beyond", straight(110, 130, 150), []),
        ("appears on the line", straight(100, 101, 120, 140), []),
        ("comes near and turns", straight(60, 80, 97, 101, 103, 97, 60), []),
        ("trembles, then crosses", straight(60, 90, *[98, 102] * 20, 120), ["in"]),
        ("trembles, then turns", straight(60, 90, *[98, 102] * 20, 80), []),
        ("slow", straight(*np.linspace(90, 110, 200)), ["in"]),
        ("hidden while it crosses", straight(60, 80, *[None] * 20, 120, 140), ["in"]),
        ("hidden on the line", straight(60, 80, 99, *[None] * 20, 101, 140), ["in"]),
        ("stands on the line for long", straight(60, 80, *[100] * 90, 140), ["in"]),
        ("away for too long", straight(60, 80, *[None] * 40, 120, 140), []),
        ("passes the left end", straight(60, 140, x=80), []),
        ("passes the right end", straight(60, 140, x=320), []),
        ("just within the end", straight(60, 140, x=102), ["in"]),
        ("around the end", [(200, 60), (50, 60), (50, 140), (200, 140)], []),
        (
            "around and back through",
            [(200, 60), (50, 60), (50, 140), (200, 140), (200, 60)],
            ["out"],
        ),
        ("slanted through", [(60, 20), (300, 190)], ["in"]),
        ("slanted past", [(60, 90), (90, 190)], []),
        ("along the line", [(x, 100.0) for x in range(0, 400, 20)], []),
    ],
)
def test_what_counts(name: str, points: Walk, expected: list[str]) -> None:
    assert walk(new_counter(), points) == expected


def test_the_order_of_the_ends_says_which_way_is_in() -> None:
    turned = Line("turned", (ACROSS.points_xy[1], ACROSS.points_xy[0]))
    assert walk(new_counter(turned), straight(60, 140)) == ["out"]


@pytest.mark.parametrize(("start_x", "expected"), [(100, "out"), (300, "in")])
def test_an_upright_line_from_top_to_bottom_has_in_on_the_left_of_the_picture(
    start_x: float, expected: str
) -> None:
    """Who walks down in the picture, towards the viewer, has the picture's left on the right."""
    upright = Line("upright", ((0.5, 0.0), (0.5, 1.0)))
    assert walk(new_counter(upright), [(start_x, 100), (400 - start_x, 100)]) == [expected]


def test_small_boxes_tremble_by_at_least_two_pixels() -> None:
    counter = new_counter()
    for number, y in enumerate([60, 98.5, 101.5, 98.5, 101.5]):
        found = Sightings(
            np.array([1]), np.array([[0.5, y / HW[0]]]), np.array([4.0]), HW, number / 30
        )
        assert counter.update(found) == []


def test_objects_are_counted_independently_and_named_by_index() -> None:
    counter = new_counter()
    above, below = (0.5, 0.3), (0.5, 0.7)
    assert counter.update(sightings([above, below, above], [1, 2, 3], 0.0)) == []
    crossed = counter.update(sightings([above, below, above], [3, 1, 2], 0.1))
    assert crossed == [(1, Direction.IN), (2, Direction.OUT)]


def test_boxes_that_are_no_object_yet_never_count() -> None:
    assert walk(new_counter(), straight(60, 140, 60, 140), track_id=-1) == []


def test_another_object_that_takes_over_is_not_counted_for_the_first() -> None:
    counter = new_counter()
    assert walk(counter, straight(60, 80), track_id=1) == []
    assert walk(counter, straight(120, 140), track_id=2, start_s=0.1) == []


def test_a_change_of_resolution_is_no_crossing_and_hides_none() -> None:
    counter = new_counter()
    counter.update(sightings([(0.5, 0.4)], [1], 0.0, (200, 400)))
    assert counter.update(sightings([(0.5, 0.4)], [1], 0.1, (1080, 1920))) == []
    crossed = counter.update(sightings([(0.5, 0.6)], [1], 0.2, (100, 200)))
    assert crossed == [(0, Direction.IN)]


def test_objects_that_are_gone_are_forgotten() -> None:
    counter = new_counter()
    for number in range(1000):
        counter.update(sightings([(0.5, 0.4)], [number + 1], number / 30))
    assert len(counter._seen) <= 32  # those of the latest second
    counter.update(sightings([], [], 100.0))
    assert not counter._seen
