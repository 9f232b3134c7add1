"""Charts: well-formed, described, and in proportion."""

from __future__ import annotations

import re

import numpy as np
import pytest

from calibration.report_charts import MOST_POINTS, range_histogram, score_scatter
from calibration.report_ranges import view_ranges
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD, observation_of


def points_of(markup: str) -> list[tuple[float, float]]:
    (path,) = re.findall(r'd="([^"]*)" class="points"', markup)
    return [(float(x), float(y)) for x, y in re.findall(r"M(\S+) (\S+)h0", path)]


def test_a_scatter_has_every_point_where_its_scores_are():
    pairs = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]])
    chart = score_scatter(pairs, AWKWARD)
    (x0, y0), (x1, y1), (x, y) = points_of(chart)
    assert x0 < x < x1 and y0 > y > y1
    assert (x - x0) / (x1 - x0) == pytest.approx(0.5, abs=0.01)
    assert (y - y0) / (y1 - y0) == pytest.approx(0.25, abs=0.01)
    page = Page(chart)
    assert page.values("svg", "role") == ["img"] and page.values("svg", "aria-label") == [AWKWARD]


def test_many_points_are_thinned_evenly():
    scores = np.linspace(0, 1, 3 * MOST_POINTS + 1)
    points = points_of(score_scatter(np.stack([scores, scores], axis=1), "many"))
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS
    assert points[0][0] < 50 and points[-1][0] > 390


def histogram_of(values, threshold):
    (view,) = view_ranges(observation_of({AWKWARD: values}).histograms, {AWKWARD: threshold})
    return range_histogram(view)


def clip_of(markup: str) -> float:
    (clip,) = re.findall(r'd="M(\S+) 0V\d+" class="clip"', markup)
    return float(clip)


def test_a_histogram_shows_the_clip_at_its_place():
    values = np.linspace(0, 8, 1000)
    assert clip_of(histogram_of(values, 4.0)) == pytest.approx(110, abs=0.1)
    assert clip_of(histogram_of(values, 8.0)) == 220
    assert clip_of(histogram_of(values, 16.0)) == 220  # then the picture is wider than the values
    (label,) = Page(histogram_of(values, 4.0)).values("svg", "aria-label")
    assert AWKWARD in label and "clipped at 4" in label


def test_a_histogram_of_zeros_and_of_nothing():
    for values in (np.zeros(10), np.zeros(0)):
        assert clip_of(histogram_of(values, 1.0)) == 220
