"""How values of heatmaps become colours."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.explain_panels import heat_overlay, opacity, strong_corners
from tests.detectors.explanations import an_explanation

COLORS = {0: "#ff0000", 2: "#0000ff"}


def test_a_cell_has_the_colour_of_its_strongest_class_and_its_opacity() -> None:
    heat = np.zeros((3, 1, 3), np.float32)
    heat[0, 0, 0], heat[2, 0, 0] = 0.2, 0.9
    heat[0, 0, 1] = 0.5
    overlay = heat_overlay(heat, COLORS)
    assert overlay[0, 0, :3].tolist() == [0, 0, 1]
    assert overlay[0, 1, :3].tolist() == [1, 0, 0]
    assert overlay[0, :, 3].tolist() == pytest.approx(opacity(np.array([0.9, 0.5, 0])).tolist())


def test_classes_without_a_strong_corner_are_left_out() -> None:
    heat = np.ones((3, 2, 2), np.float32)
    heat[0] = heat[2] = 0
    assert heat_overlay(heat, COLORS)[..., 3].max() == 0
    assert heat_overlay(heat, {}).tolist() == np.zeros((2, 2, 4)).tolist()


def test_opacity_grows_from_nothing_to_all() -> None:
    values = opacity(np.linspace(0, 1, 11))
    assert (values[0], values[-1]) == (0, 1)
    assert (np.diff(values) > 0).all()


def test_strong_corners_are_those_from_the_threshold() -> None:
    explanation = an_explanation()
    assert [corner.cell_xy for corner in strong_corners(explanation, "tl")] == [(4, 5), (2, 18)]
    assert [corner.cell_xy for corner in strong_corners(explanation, "br")] == [(12, 14), (16, 18)]
