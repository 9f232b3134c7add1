"""Sheets, colours and sizes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from detectors.explain_canvas import (
    OTHER_CLASSES,
    PALETTE,
    Label,
    Place,
    Sheet,
    class_colors,
    dimmed,
    draw_corner,
    draw_labels,
    fit_panel,
    ink_on,
    show_image,
    show_scale,
)


@pytest.mark.parametrize(
    ("image_hw", "size"), [((50, 100), (4, 2)), ((100, 100), (4, 4)), ((400, 100), (1.25, 5))]
)
def test_panels_keep_the_images_shape(image_hw: tuple[int, int], size: tuple[float, float]) -> None:
    assert fit_panel(image_hw, 4, 5) == pytest.approx(size)


def test_a_panel_lies_where_it_was_placed(tmp_path: Path) -> None:
    sheet = Sheet.blank(3.0)
    axes = sheet.below(1.0).axes(Place(2.0, 0.5, 4.0, 1.0))
    show_image(axes, np.zeros((10, 40, 3)))
    sheet.save(tmp_path / "a.png", dpi=50)
    image = cv2.imread(str(tmp_path / "a.png"))
    assert image.shape == (150, 800, 3)
    dark = np.argwhere(image.max(axis=2) < 30)
    assert dark.min(axis=0).tolist() == pytest.approx([75, 100], abs=1)
    assert dark.max(axis=0).tolist() == pytest.approx([124, 299], abs=1)


@pytest.mark.parametrize("kind", ["tl", "br"])
def test_a_corners_mark_has_its_point_at_the_corner(kind: str, tmp_path: Path) -> None:
    sheet = Sheet.blank(2.0)
    axes = sheet.axes(Place(7.0, 0.5, 1.0, 1.0))
    show_image(axes, np.ones((100, 100, 3)))
    draw_corner(axes, kind, (50, 50), "red", 12.0)
    sheet.save(tmp_path / "a.png", dpi=100)
    image = cv2.imread(str(tmp_path / "a.png")).astype(int)
    red = np.argwhere((image[..., 2] > 200) & (image[..., 1] < 80))
    ends = red.min(axis=0) if kind == "tl" else red.max(axis=0)
    assert ends.tolist() == pytest.approx([100, 750], abs=4)
    assert len(red) > 20


def test_the_palette_is_given_in_order_of_the_classes_and_ends_in_grey() -> None:
    assert class_colors([7, 3, 7]) == {3: PALETTE[0], 7: PALETTE[1]}
    many = class_colors(range(10))
    assert len(set(PALETTE)) == len(PALETTE) == 7
    assert [many[class_id] for class_id in (6, 7, 9)] == [PALETTE[6], OTHER_CLASSES, OTHER_CLASSES]
    assert class_colors([]) == {}


@pytest.mark.parametrize(("level", "low", "high"), [(-0.6, 0, 0.4), (0.45, 0.45, 1), (0, 0, 1)])
def test_dimmed_pictures_are_grey_and_in_range(level: float, low: float, high: float) -> None:
    image = np.array([[[0, 0, 0], [255, 255, 255], [9, 90, 200]]], np.uint8)
    got = dimmed(image, level)
    assert got[0, 0].tolist() == pytest.approx([low] * 3)
    assert got[0, 1].tolist() == pytest.approx([high] * 3)
    assert len(set(got[0, 2].tolist())) == 1


@pytest.mark.parametrize(("color", "ink"), [("#F0E442", "black"), ("#0072B2", "white")])
def test_ink_can_be_read(color: str, ink: str) -> None:
    assert ink_on(color) == ink


def test_every_label_is_written_once() -> None:
    axes = Sheet.blank(6.0).axes(Place(1, 1, 4, 4))
    show_image(axes, np.zeros((100, 100, 3)))
    draw_labels(axes, [])
    draw_labels(axes, [Label("one", (50, 50), "red"), Label("two", (50, 50), "blue")])
    assert [text.get_text() for text in axes.texts] == ["one", "two"]
    assert axes.texts[0].get_position() != axes.texts[1].get_position()


def test_a_dollar_in_a_name_is_no_formula(tmp_path: Path) -> None:
    sheet = Sheet.blank(2.0)
    sheet.text(0.3, 0.3, r"5$\bar{$.png")
    axes = sheet.axes(Place(1, 1, 1, 1))
    show_image(axes, np.zeros((10, 10, 3)))
    draw_labels(axes, [Label(r"$\foo$", (5, 5), "red")])
    sheet.save(tmp_path / "a.png", 20)
    assert (tmp_path / "a.png").stat().st_size > 0


def test_a_scale_names_its_ends() -> None:
    axes = Sheet.blank(2.0).axes(Place(1, 1, 4, 0.1))
    show_scale(axes, colormaps["magma"], -1.25, 3.5)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["-1.2", "3.5"]
