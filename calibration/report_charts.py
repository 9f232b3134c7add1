"""The report's charts as inline SVG: sharp in print, coloured by the page, small in bytes."""

from __future__ import annotations

import math

import numpy as np

from calibration.report_ranges import RangeView
from runtime.html_charts import label, svg
from runtime.html_parts import Html, join, tag

# Points of a scatter plot: more cannot be told apart, and make the page heavy.
MOST_POINTS = 6000
SCATTER_SIDE, MARGIN = 350, 44
RANGE_WIDTH, RANGE_HEIGHT = 220, 84
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def score_scatter(pairs: np.ndarray, description: str) -> Html:
    """Plot INT8's scores over FP32's, with the line on which they are equal.

    Args:
        pairs: (n, 2), FP32's and INT8's score, each in [0, 1]; of more than ``MOST_POINTS`` an
            even selection is drawn.
        description: What the picture shows, for those who cannot see it.
    """
    drawn = pairs[:: max(1, math.ceil(len(pairs) / MOST_POINTS))]
    points = "".join(f"M{_x(a)} {_y(b)}h0" for a, b in drawn.tolist())
    content = join(
        (
            *(_grid_line(tick) for tick in TICKS),
            tag("path", d=f"M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}", class_="equal"),
            tag("path", d=points, class_="points"),
            label("FP32 score", _x(0.5), SCATTER_SIDE + MARGIN + 4),
            label("INT8 score", 12, _y(0.5), transform=f"rotate(-90 12 {_y(0.5)})"),
        )
    )
    width, height = SCATTER_SIDE + MARGIN + 10, SCATTER_SIDE + MARGIN + 10
    return svg((width, height), description, content, "scatter")


def range_histogram(view: RangeView) -> Html:
    """Draw a tensor's magnitudes on a logarithmic scale, and where they are clipped.

    Args:
        view: What was observed and chosen.
    """
    step = RANGE_WIDTH / len(view.counts)
    heights = np.log10(view.counts + 1.0)
    heights *= (RANGE_HEIGHT - 4) / max(float(heights.max()), 1.0)
    bars = "".join(
        f"M{i * step:.1f} {RANGE_HEIGHT}v-{height:.1f}h{step - 0.6:.1f}v{height:.1f}z"
        for i, height in enumerate(heights.tolist())
        if height
    )
    clip = f"{RANGE_WIDTH * view.threshold / view.limit:.1f}"
    rest = f"M{clip} 0H{RANGE_WIDTH}V{RANGE_HEIGHT}H{clip}z"
    content = join(
        (
            tag("path", d=rest, class_="clipped"),
            tag("path", d=bars, class_="bars"),
            tag("path", d=f"M{clip} 0V{RANGE_HEIGHT}", class_="clip"),
            tag("path", d=f"M0 {RANGE_HEIGHT}H{RANGE_WIDTH}", class_="axis"),
        )
    )
    description = (
        f"Magnitudes of {view.tensor} from 0 to {view.limit:.3g}, clipped at {view.threshold:.3g}"
    )
    return svg((RANGE_WIDTH, RANGE_HEIGHT), description, content, "range")


def _grid_line(value: float) -> Html:
    across = f"M{_x(0)} {_y(value)}H{_x(1)}M{_x(value)} {_y(0)}V{_y(1)}"
    return join(
        (
            tag("path", d=across, class_="grid"),
            label(f"{value:g}", _x(value), _y(0) + 15),
            label(f"{value:g}", MARGIN - 12, _y(value) + 4),
        )
    )


def _x(score: float) -> float:
    """Return where a score lies from left to right."""
    return round(MARGIN + score * SCATTER_SIDE, 1)


def _y(score: float) -> float:
    """Return where a score lies from top to bottom."""
    return round(10 + (1 - score) * SCATTER_SIDE, 1)
