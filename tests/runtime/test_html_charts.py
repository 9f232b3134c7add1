"""Pieces of charts: in proportion, described, inside the picture."""

from __future__ import annotations

import pytest

from runtime.html_charts import (
    HUES,
    bar,
    figure,
    fluid,
    line,
    rectangle,
    svg,
    swatch,
    tick,
    words,
)
from runtime.html_parts import Html
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD


def test_charts_are_described():
    for chart in (svg((20, 10), AWKWARD, Html(), "kind"), fluid(40, AWKWARD, Html())):
        page = Page(chart)
        assert page.values("svg", "role") == ["img"]
        assert page.values("svg", "aria-label") == [AWKWARD]


def test_a_fluid_chart_is_as_wide_as_the_page_and_keeps_its_height():
    page = Page(fluid(40, "what", Html()))
    assert page.values("svg", "height") == ["40"]
    assert page.values("svg", "viewbox") == [] and page.values("svg", "class") == ["fluid"]


def test_a_chart_that_keeps_its_proportions():
    assert Page(svg((20, 10.5), "what", Html(), "x")).values("svg", "viewbox") == ["0 0 20 10.5"]


def test_a_rectangle_is_never_of_negative_width():
    page = Page(rectangle(10, 35, 2, 3) + rectangle(50, 40, 2, 3))
    assert page.values("rect", "x") == ["10.00%", "50.00%"]
    assert page.values("rect", "width") == ["25.00%", "0.00%"]


def test_a_line_goes_across_in_percent_and_down_in_pixels():
    page = Page(line((10, 20), (30, 40), "kind"))
    assert page.values("line", "x1") == ["10.00%"] and page.values("line", "x2") == ["30.00%"]
    assert page.values("line", "y1") == ["20.0"] and page.values("line", "y2") == ["40.0"]


@pytest.mark.parametrize(("x", "anchor", "dx"), [(10, "start", "5"), (95, "end", "-5")])
def test_words_stay_inside_the_chart(x, anchor, dx):
    page = Page(words(AWKWARD, x, 10, gap_px=5))
    assert page.values("text", "text-anchor") == [anchor] and page.values("text", "dx") == [dx]
    assert page.text == AWKWARD


@pytest.mark.parametrize(("x", "anchor"), [(0, "start"), (50, "middle"), (100, "end")])
def test_numbers_of_an_axis_stay_inside_the_chart(x, anchor):
    assert Page(tick("1", x, 10)).values("text", "text-anchor") == [anchor]


@pytest.mark.parametrize(
    ("value", "largest", "width", "kind"),
    [
        (1, 2, "50.0", "worse"),
        (-2, 2, "100.0", "better"),
        (0, 0, "0.0", "worse"),
        (9, 3, "100.0", "worse"),
    ],
)
def test_a_bar_fills_its_share(value, largest, width, kind):
    page = Page(bar(value, largest))
    assert page.values("rect", "width") == [f"{width}%"]
    assert page.values("svg", "class") == [f"bar {kind}"]
    assert page.values("svg", "aria-hidden") == ["true"]
    # A policy that allows one style only would ignore it.
    assert page.values("svg", "style") == page.values("rect", "style") == []


def test_a_bar_that_is_neither_gain_nor_loss():
    assert Page(bar(1, 2, "plain")).values("svg", "class") == ["bar plain"]


def test_a_swatch_has_one_of_the_colours():
    assert Page(swatch(3)).values("rect", "class") == ["hue3"]
    assert Page(swatch(HUES + 1)).values("rect", "class") == ["hue1"]


def test_a_figure_has_a_caption_only_if_there_is_something_to_say():
    chart = fluid(10, "what", Html())
    assert Page(figure(chart, AWKWARD)).text == AWKWARD
    assert "figcaption" not in Page(figure(chart)).tags
