"""Charts of latencies: everything in proportion, tails kept, numbers in the description."""

from __future__ import annotations

import re

import pytest

from runtime.html_axis import Axis, Scale
from runtime.latency import Bar, Latency
from runtime.measure_charts import (
    LOWEST_BAR_PX,
    PLOT_PX,
    Part,
    Whole,
    axis_numbers,
    histogram_axis,
    latency_histogram,
    small_histogram,
    stacked_bars,
    warmup_chart,
)
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD

BARS = (Bar(10.0, 12.0, 90), Bar(12.0, 14.0, 0), Bar(14.0, 17.0, 1))
LATENCY = Latency.of([10.5] * 90 + [16.5])  # p99 is a tenth of the way to the longest


def percents(values: list[str]) -> list[float]:
    return [float(value.removesuffix("%")) for value in values]


def test_parts_lie_side_by_side_in_proportion():
    wholes = [
        Whole("all", (Part("a", 2.0, 0), Part("b", 6.0, 1))),
        Whole("bare", (Part("a", 4, 0),)),
    ]
    page = Page(stacked_bars(wholes, "what", 10.0))
    assert percents(page.values("rect", "x")) == [0, 20, 0]
    assert percents(page.values("rect", "width")) == [20, 60, 40]
    (said,) = page.values("svg", "aria-label")
    assert said == "what: all 8.00\u00a0ms; bare 4.00\u00a0ms"


def test_a_part_is_named_where_its_name_has_room_and_always_when_pointed_at():
    wholes = [Whole("all", (Part(AWKWARD, 9.5, 0), Part("a long name", 0.5, 1)))]
    chart = stacked_bars(wholes, "what", 10.0)
    inside = re.findall(r'class="inside"[^>]*>([^<]*)<', chart)
    assert len(inside) == 1 and "long" not in inside[0]
    assert "a long name: 0.500" in Page(chart).text


def test_a_histogram_has_every_bar_and_keeps_the_tail_visible():
    page = Page(latency_histogram(BARS, LATENCY, histogram_axis(BARS), "what"))
    heights = [float(value) for value in page.values("rect", "height")]
    assert heights == [PLOT_PX, LOWEST_BAR_PX]  # one of 90 would be 1.7 pixels
    lefts = percents(page.values("rect", "x"))
    assert 0 < lefts[0] < lefts[1] < 100


def test_percentiles_are_marked_where_they_are():
    chart = latency_histogram(BARS, LATENCY, histogram_axis(BARS), AWKWARD)
    page = Page(chart)
    for text in ("p50 10.5", "p95 10.5", "p99 11.1", "max 16.5"):
        assert f"{text} ms" in page.text
    p99 = percents(re.findall(r'class="clip"[^>]* x1="([\d.]+)%"', chart))
    assert p99 == [pytest.approx(histogram_axis(BARS).place(LATENCY.p99_ms), abs=0.01)]
    (said,) = page.values("svg", "aria-label")
    assert said.startswith(f"{AWKWARD}, 91 frames: p50 10.5")


def test_an_axis_holds_the_bars_of_all_histograms():
    axis = histogram_axis((*BARS, Bar(1.0, 2.0, 1)))
    assert axis.lowest < 1.0 and axis.highest > 17.0 and axis.scale is Scale.LOGARITHMIC


def test_a_small_histogram_marks_p99_and_says_the_rest():
    page = Page(small_histogram(BARS, LATENCY, "draw"))
    assert page.tags.count("rect") == 2
    assert page.values("svg", "aria-label")[0].startswith("draw: p50 10.5")


def test_a_histogram_of_one_bar():
    bars = (Bar(10.0, 12.0, 3),)
    page = Page(latency_histogram(bars, Latency.of([11.0] * 3), histogram_axis(bars), "what"))
    assert page.values("rect", "height") == [f"{PLOT_PX:.1f}"]


def test_warm_up_frames_stand_beside_the_median():
    page = Page(warmup_chart((40.0, 20.0, 10.0), 10.0))
    heights = [float(value) for value in page.values("rect", "height")]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.1)
    assert heights[2] == pytest.approx(heights[1] / 2, abs=0.1)
    median_px = float(page.values("line", "y1")[0])
    tops = [float(value) for value in page.values("rect", "y")]
    assert median_px == pytest.approx(tops[2], abs=0.1)
    assert "p50 of all that count, 10.0" in page.text


def test_one_frame_of_warm_up():
    assert Page(warmup_chart((5.0,), 4.0)).tags.count("rect") == 1


def test_numbers_that_would_run_into_each_other_are_left_out():
    crowded = Axis(0.0, 6.0)
    assert Page(axis_numbers(crowded, 0, "ms")).text == "0 1 2 3 4 5 6 ms"
    assert Page(axis_numbers(crowded, 0, "ms", 34.0)).text == "0 3 6 ms"
