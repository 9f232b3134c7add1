"""Sensitivity as ranked bars; the one file here that draws them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calibration.sensitivity_table import METRICS, summary
from calibration.sensitivity_trials import Sensitivity, rank
from runtime.atomic_file import replace_when_done

# Colours that stay apart for every kind of colour vision (Okabe and Ito).
LOSS, GAIN = "#D55E00", "#0072B2"
DOTS_PER_INCH = 110
# More bars than this are too many to read; the table has them all.
MOST_BARS = 60
INCHES_PER_BAR = 0.2


def draw_sensitivity(result: Sensitivity, path: Path) -> Path:
    """Draw convolutions and blocks, most sensitive first, as PNG; returns ``path``."""
    figure = sensitivity_figure(result)
    with replace_when_done(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, format="png")
    return path


def sensitivity_figure(result: Sensitivity) -> Figure:
    """Return blocks above and convolutions below; losses left, gains right."""
    groups = [("block", rank(result.blocks)), ("convolution", rank(result.nodes))]
    shown = [rows[:MOST_BARS] for _, rows in groups]
    heights = [len(rows) + 4 for rows in shown]  # and its title and scale
    figure = Figure(figsize=(11, INCHES_PER_BAR * sum(heights) + 0.6), layout="constrained")
    panels = figure.subplots(2, 2, height_ratios=heights, sharey="row", squeeze=False)
    metric, unit, scale = METRICS[result.meter.metric]
    for (losses, gains), (kind, rows), chosen in zip(panels, groups, shown, strict=True):
        names = [row.part.module for row in chosen]
        more = f", first {len(chosen)} of {len(rows)}" if len(chosen) < len(rows) else ""
        _bars(losses, names, [scale * row.only_int8 for row in chosen], LOSS)
        _bars(gains, names, [scale * row.only_float for row in chosen], GAIN)
        losses.set(title=f"only this {kind} in INT8{more}", xlabel=f"{metric} lost, {unit}")
        gains.set(title=f"only this {kind} back in float{more}", xlabel=f"{metric} gained, {unit}")
    figure.suptitle(summary(result))
    return figure


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], color: str) -> None:
    places = range(len(names))  # by place: two parts may have one name
    drawn = axes.barh(places, values, color=color, height=0.75)
    axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=7)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.axvline(0, color="black", linewidth=0.6)
    axes.margins(x=0.12)
