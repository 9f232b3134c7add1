"""Labels stay apart, inside, and near their points."""

from __future__ import annotations

import numpy as np

from detectors.explain_labels import place_labels

BOUNDS = (100.0, 80.0)


def places(points: list[tuple[float, float]], size: tuple[float, float] = (20, 6)) -> np.ndarray:
    sizes = np.tile(np.array(size, np.float64), (len(points), 1))
    corners = np.array(place_labels(np.array(points, np.float64), sizes, BOUNDS))
    return np.concatenate([corners, corners + sizes], axis=1)


def test_a_lone_label_sits_above_its_point() -> None:
    assert places([(30, 40)]).tolist() == [[30, 34, 50, 40]]


def test_labels_of_one_point_do_not_cover_each_other() -> None:
    found = places([(50, 40)] * 9)
    for index, first in enumerate(found):
        for second in found[index + 1 :]:
            sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
            assert sides.min() <= 0


def test_labels_stay_inside_the_picture() -> None:
    found = places([(0, 0), (100, 80), (99, 1), (1, 79)])
    assert found.min() >= 0
    assert (found[:, 2:] <= BOUNDS).all()


def test_a_label_larger_than_the_picture_begins_at_its_corner() -> None:
    assert places([(50, 50)], size=(300, 200))[0, :2].tolist() == [0, 0]


def test_boxes_are_left_free_where_there_is_room() -> None:
    box = np.array([[20.0, 20.0, 70.0, 60.0]])
    point, size = np.array([[40.0, 23.0]]), np.array([[20.0, 6.0]])
    assert place_labels(point, size, BOUNDS) == [(40, 17)]
    assert place_labels(point, size, BOUNDS, box) == [(40, 11)]


def test_no_labels() -> None:
    assert place_labels(np.zeros((0, 2)), np.zeros((0, 2)), BOUNDS) == []
