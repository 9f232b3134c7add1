"""The roofline as a picture: every layer under its roof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.roofline_bound import bound_network
from export.roofline_picture import draw_roofline, roofline_figure
from tests.export.rooflines import network_of, plain_device, two_convolutions
from tests.export.test_roofline_text import roofline


def test_layers_lie_on_the_roof_that_bounds_them() -> None:
    (axes,) = roofline_figure(roofline()).axes
    (points,) = axes.collections
    intensity, rate = np.asarray(points.get_offsets()).T
    # Both are bound by memory: 1 GB/s times operations per byte, in 10^12.
    assert rate == pytest.approx(intensity * 1e-3)
    (roof,) = axes.lines
    assert np.asarray(roof.get_ydata())[-1] == pytest.approx(1.0)
    assert axes.get_xlim()[0] < intensity.min() and intensity.max() < axes.get_xlim()[1]


def test_each_precision_has_its_roof_and_its_share() -> None:
    network = network_of(two_convolutions())
    bound = bound_network(network, plain_device(), "int8")
    (axes,) = roofline_figure(roofline(bound=bound)).axes
    (label,) = (text.get_text() for text in axes.get_legend().get_texts())
    assert label == "2 int8 layers, 100% of the floor"
    assert np.asarray(axes.lines[0].get_ydata())[-1] == pytest.approx(4.0)


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    path = draw_roofline(roofline(), tmp_path / "r.png")
    assert path.read_bytes().startswith(b"\x89PNG")
