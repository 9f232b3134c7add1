"""Single shapes: outlines, coverage and paint."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detectors.shapes_drawing import (
    CLASS_NAMES,
    FILLS,
    Shape,
    cover_of,
    outline_of,
    paint,
    random_background,
    random_shape,
)

BOX = CLASS_NAMES.index("box")
PLAIN = Shape(BOX, (20.0, 30.0), 20.0, 1.0, 0.0, 0.5, "plain", ((9, 8, 7), (0, 0, 0)), 3.0, False)


def test_outline_of_unrotated_box_is_where_it_was_put():
    (contour,) = outline_of(PLAIN)
    # The box's unit outline reaches 0.85 of half its size.
    assert contour.min(0) == pytest.approx([20 - 8.5, 30 - 8.5])
    assert contour.max(0) == pytest.approx([20 + 8.5, 30 + 8.5])


def test_rotation_by_a_quarter_turn_swaps_the_extents():
    wide = dataclasses.replace(PLAIN, aspect=0.5)
    turned = dataclasses.replace(wide, angle=np.pi / 2)
    extent = np.ptp(outline_of(wide)[0], axis=0)
    assert np.ptp(outline_of(turned)[0], axis=0) == pytest.approx(extent[::-1])


@pytest.mark.parametrize("class_id", range(len(CLASS_NAMES)))
def test_every_class_stays_within_its_size(class_id):
    shape = dataclasses.replace(PLAIN, class_id=class_id, size_px=100.0)
    points = np.concatenate(outline_of(shape)) - shape.center_xy
    assert 30 < np.abs(points).max() <= 50.001


def test_coverage_of_a_box_is_where_its_outline_is():
    between = dataclasses.replace(PLAIN, size_px=19.2 / 0.85)  # edges at 10.4 ... 29.6
    cover, (top, left) = cover_of(between, (64, 64))
    rows, columns = np.nonzero(cover >= 128)
    assert (top + rows.min(), left + columns.min()) == (20, 10)
    assert (top + rows.max() + 1, left + columns.max() + 1) == (40, 30)


def test_a_ring_has_a_hole_and_a_disc_has_none():
    for name, expected in (("disc", 255), ("ring", 0)):
        shape = dataclasses.replace(PLAIN, class_id=CLASS_NAMES.index(name), size_px=40.0)
        cover, (top, left) = cover_of(shape, (64, 64))
        assert cover[30 - top, 20 - left] == expected


def test_a_shape_outside_the_image_covers_nothing():
    cover, _ = cover_of(dataclasses.replace(PLAIN, center_xy=(-200.0, 30.0)), (64, 64))
    assert cover.size == 0


@pytest.mark.parametrize("fill", FILLS)
def test_paint_changes_only_what_is_covered(fill):
    image = np.full((64, 64, 3), 100, np.uint8)
    shape = dataclasses.replace(PLAIN, fill=fill, outline=True)
    cover, origin = cover_of(shape, (64, 64))
    paint(image, shape, cover, origin)
    untouched = np.ones((64, 64), bool)
    height, width = cover.shape
    untouched[origin[0] : origin[0] + height, origin[1] : origin[1] + width] = cover == 0
    assert (image[untouched] == 100).all()
    assert (image[~untouched] != 100).any()


def test_plain_paint_is_the_first_colour():
    image = np.full((64, 64, 3), 100, np.uint8)
    paint(image, PLAIN, *cover_of(PLAIN, (64, 64)))
    assert image[30, 20].tolist() == [9, 8, 7]


def test_textures_move_with_the_object():
    """The same object drawn elsewhere shows the same pattern."""
    pictures = []
    for x in (30.0, 70.0):
        image = np.zeros((100, 100, 3), np.uint8)
        shape = dataclasses.replace(PLAIN, center_xy=(x, 50.0), fill="checks", size_px=40.0)
        paint(image, shape, *cover_of(shape, (100, 100)))
        pictures.append(image[30:70, int(x) - 20 : int(x) + 20])
    assert (pictures[0] == pictures[1]).all()


def test_random_shape_and_background_follow_the_seed():
    first, again, other = (random_shape(np.random.default_rng(seed), 1, 20.0) for seed in (1, 1, 2))
    assert first == again != other
    pictures = [random_background(np.random.default_rng(seed), (40, 50)) for seed in (1, 1, 2)]
    assert pictures[0].shape == (40, 50, 3) and pictures[0].dtype == np.uint8
    assert (pictures[0] == pictures[1]).all() and (pictures[0] != pictures[2]).any()
