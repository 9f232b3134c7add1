"""Charts of the measurement page: ratios with their intervals, and drift over a long run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from runtime.html_axis import Axis, Scale
from runtime.html_charts import fluid, line, rectangle, upright, words
from runtime.html_numbers import milliseconds, plain, short
from runtime.html_parts import Html, join, tag
from runtime.layer_table import shorten
from runtime.measure_charts import (
    AXIS_PX,
    CHARACTER_PX,
    PHONE_PX,
    PLOT_PX,
    ROW_PX,
    TEXT_PX,
    axis_numbers,
)
from runtime.measurement import Comparison, SoakWindow

# Characters of an artifact's name in a plot; the table below has all of it.
SHORTEST_NAME = 12


def forest_plot(comparisons: Sequence[Comparison]) -> Html:
    """Draw ratios with their intervals on a logarithmic axis, the line of no difference at 1.

    Args:
        comparisons: At least one.
    """
    axis = _ratio_axis(comparisons)
    bottom_px = ROW_PX * len(comparisons)
    rows = (_interval(entry, axis, row * ROW_PX) for row, entry in enumerate(comparisons))
    content = join(
        (
            upright(axis.place(1.0), 0, bottom_px, "equal"),
            *rows,
            line((0, bottom_px), (100, bottom_px), "axis"),
            axis_numbers(axis, bottom_px, ""),
        )
    )
    said = "; ".join(map(_named, comparisons))
    return fluid(bottom_px + AXIS_PX, f"Ratios to the baseline, 1 marked: {said}", content)


def interval_text(entry: Comparison) -> str:
    """Return a ratio's 95 % confidence interval; "no interval" where rounds were too few."""
    if entry.low is None or entry.high is None:
        return "no interval"
    return f"{short(entry.low)} to {short(entry.high)}"


def drift_chart(windows: Sequence[SoakWindow]) -> Html:
    """Draw p50 and p99 over a long run; windows in which the clocks were held back are shaded.

    Args:
        windows: At least two, in order.
    """
    starts_min = [window.started_s / 60 for window in windows]
    # The last window is taken to be as long as the one before.
    edges_min = [*starts_min, 2 * starts_min[-1] - starts_min[-2]]
    across = Axis(edges_min[0], edges_min[-1])
    up = Axis(0.0, max(window.end_to_end.p99_ms for window in windows) * 1.1)
    spans = list(itertools.pairwise(map(across.place, edges_min)))
    middles = [(left + right) / 2 for left, right in spans]
    shaded = (
        rectangle(left, right, 0, PLOT_PX, "clipped")
        for window, (left, right) in zip(windows, spans, strict=True)
        if window.throttled
    )
    content = join(
        (
            *shaded,
            *(_level(value, up) for value in up.ticks()),
            _curve("p50", middles, [w.end_to_end.p50_ms for w in windows], up, "hue0"),
            _curve("p99", middles, [w.end_to_end.p99_ms for w in windows], up, "hue1"),
            axis_numbers(across, PLOT_PX, "min"),
        )
    )
    first, last = windows[0].end_to_end.p99_ms, windows[-1].end_to_end.p99_ms
    said = f"p99 {milliseconds(first)} at first, {milliseconds(last)} at last"
    return fluid(PLOT_PX + AXIS_PX, f"Latency over the run: {said}", content)


def _ratio_axis(comparisons: Sequence[Comparison]) -> Axis:
    """Return an axis that shows all intervals, and 1 not at its edge."""
    shown = [1.0, *(end for entry in comparisons for end in _ends(entry))]
    low, high = min(shown), max(shown)
    margin = max(1.05, math.pow(high / low, 0.08))
    return Axis(low / margin, high * margin, Scale.LOGARITHMIC)


def _ends(entry: Comparison) -> tuple[float, float]:
    """Return an interval's ends; the ratio twice where there is none."""
    if entry.low is None or entry.high is None:
        return entry.ratio, entry.ratio
    return entry.low, entry.high


def _interval(entry: Comparison, axis: Axis, top_px: float) -> Html:
    middle_px = top_px + TEXT_PX + 16
    kind = {"faster": "better", "slower": "worse"}.get(entry.verdict, "same")
    left, right = map(axis.place, _ends(entry))
    drawn = [words(_row_name(entry), 0, top_px + TEXT_PX)]
    if left < right:
        drawn.append(line((left, middle_px), (right, middle_px), "interval"))
        drawn += [upright(x, middle_px - 5, middle_px + 5, "interval") for x in (left, right)]
    drawn.append(tag("circle", cx=f"{axis.place(entry.ratio):.2f}%", cy=f"{middle_px:.1f}", r=5))
    return tag("g", *drawn, class_=f"forest {kind}")


def _row_name(entry: Comparison) -> str:
    """Return figure, ratio and as much of the artifact's name as has room on a phone."""
    told = f"{entry.figure} {short(entry.ratio)} ({interval_text(entry)}), "
    columns = int(PHONE_PX / CHARACTER_PX) - len(told)
    return told + shorten(entry.artifact, max(SHORTEST_NAME, columns))


def _named(entry: Comparison) -> str:
    return f"{entry.artifact}, {entry.figure}: {short(entry.ratio)} ({interval_text(entry)})"


def _level(value: float, up: Axis) -> Html:
    y = PLOT_PX - up.place(value) / 100 * PLOT_PX
    if y < TEXT_PX:  # its number would be cut off
        return Html()
    text = words(f"{plain(value)} ms", 0, y - 3) if value else Html()
    return join((line((0, y), (100, y), "grid"), text))


def _curve(name: str, places: Sequence[float], values: Sequence[float], up: Axis, hue: str) -> Html:
    """Draw a line through values; across in percent, which a path could not do."""
    heights = [PLOT_PX - up.place(value) / 100 * PLOT_PX for value in values]
    points = list(zip(places, heights, strict=True))
    parts = [line(start, end, "curve") for start, end in itertools.pairwise(points)]
    dots = (tag("circle", cx=f"{x:.2f}%", cy=f"{y:.1f}", r=3) for x, y in points)
    text = words(name, points[-1][0], points[-1][1] - 7)
    return tag("g", *parts, *dots, text, class_=f"series {hue}")
