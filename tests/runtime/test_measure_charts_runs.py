"""Charts of several runs: ratios beside 1, and drift with its throttling."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runtime.measure_charts_runs import drift_chart, forest_plot, interval_text
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD
from tests.measurements import comparison, soak_windows

FASTER = comparison(AWKWARD, "base", 0.5)
SLOWER = comparison("b", "base", 2.0)
SAME = comparison("c", "base", 1.01)
UNKNOWN = comparison("d", "base", 3.0, low=None, high=None, verdict="no verdict: got 2 rounds")


def dots(chart: str) -> list[float]:
    return [float(x.removesuffix("%")) for x in Page(chart).values("circle", "cx")]


def line_of_no_difference(chart: str) -> float:
    (x,) = re.findall(r'class="equal"[^>]* x1="([\d.]+)%"', chart)
    return float(x)


def test_ratios_lie_on_their_side_of_one():
    chart = forest_plot([FASTER, SLOWER, SAME])
    faster, slower, same = dots(chart)
    one = line_of_no_difference(chart)
    assert faster < one < slower and abs(same - one) < 2
    # A logarithmic axis: half and twice are equally far away.
    assert one - faster == pytest.approx(slower - one, abs=0.1)
    assert re.findall(r'class="forest (\w+)"', chart) == ["better", "worse", "same"]


def test_intervals_are_drawn_from_end_to_end():
    chart = forest_plot([FASTER])
    ends = [Page(chart).values("line", name) for name in ("x1", "x2")]
    drawn = [
        (float(a.removesuffix("%")), float(b.removesuffix("%")))
        for a, b in zip(*ends, strict=True)
        if a != b
    ]
    (dot,) = dots(chart)
    assert any(left < dot < right < 100 for left, right in drawn)


def test_one_is_on_the_axis_even_if_all_ratios_are_far_from_it():
    chart = forest_plot([comparison("a", "b", 5.0)])
    assert 0 < line_of_no_difference(chart) < dots(chart)[0] < 100


def test_a_ratio_without_an_interval_is_a_dot():
    chart = forest_plot([UNKNOWN])
    assert len(dots(chart)) == 1 and 'class="interval"' not in chart
    assert "3.00 (no interval)" in Page(chart).text
    assert interval_text(UNKNOWN) == "no interval"


def test_long_names_are_cut_in_the_plot_and_whole_in_its_description():
    name = "cornernet-nano-320x320-int8.onnxruntime.onnx"
    chart = forest_plot([comparison(name, "base", 0.5)])
    (row,) = [text for text in re.findall("<text[^>]*>([^<]*)<", chart) if "0.500" in text]
    assert len(row) <= 50 and row.startswith("p50 0.500 (0.475 to 0.525), corner")
    assert name in Page(chart).values("svg", "aria-label")[0]


def test_the_forest_says_its_numbers():
    (said,) = Page(forest_plot([FASTER, SLOWER])).values("svg", "aria-label")
    assert f"{AWKWARD}, p50: 0.500 (0.475 to 0.525); b, p50: 2.00 (1.90 to 2.10)" in said


def test_drift_has_a_point_per_window_and_shades_throttled_ones():
    windows = soak_windows(6, throttled_from=4)
    chart = drift_chart(windows)
    assert len(dots(chart)) == 2 * 6
    page = Page(chart)
    assert page.values("rect", "class") == ["clipped", "clipped"]
    lefts = [float(x.removesuffix("%")) for x in page.values("rect", "x")]
    assert lefts == [pytest.approx(100 * 4 / 6, abs=0.01), pytest.approx(100 * 5 / 6, abs=0.01)]
    assert "p50" in page.text and "p99" in page.text and "min" in page.text


def test_higher_latencies_are_drawn_higher():
    first, second = soak_windows(2, throttled_from=1)
    second = replace(second, end_to_end=replace(first.end_to_end, p99_ms=60.0))
    chart = drift_chart((first, second))
    p99 = [float(y) for y in Page(chart).values("circle", "cy")][2:]
    assert p99[1] < p99[0]
    assert Page(chart).values("svg", "aria-label")[0].endswith("60.0\u00a0ms at last")
