"""AP and noise by the number of calibration images, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.experiments_plots import BLACK, BLUE, DOTS_PER_INCH, ORANGE, SPREAD_ALPHA
from runtime.atomic_file import replace_when_done

STYLES = ((BLUE, "o"), (ORANGE, "s"))


@dataclass(frozen=True)
class Line:
    """What one method of choosing ranges came to.

    Attributes:
        label: Its name.
        points: Number of images -> AP in points of a hundred, one per seed; smallest number first.
        decibels: The same, signal-to-quantization-noise ratio of the maps.
    """

    label: str
    points: dict[int, list[float]]
    decibels: dict[int, list[float]]


def draw_lines(lines: Sequence[Line], fp32_points: float, path: Path) -> Path:
    """Draw every line, and FP32's AP, as PNG; returns ``path``.

    Args:
        lines: At most two.
        fp32_points: AP of the float model, in points of a hundred.
        path: The picture; the same again if redrawn.
    """
    figure = lines_figure(lines, fp32_points)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_when_done(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, format="png", metadata={"Software": None})
    return path


def lines_figure(lines: Sequence[Line], fp32_points: float) -> Figure:
    """Return AP on the left, the ratio on the right; numbers of images on logarithmic axes."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    precision, ratio = figure.subplots(1, 2)
    precision.axhline(fp32_points, color=BLACK, linestyle="--", linewidth=1, label="FP32")
    for line, (color, marker) in zip(lines, STYLES, strict=False):
        label = f"INT8, {line.label}"
        _draw(precision, line.points, {"color": color, "marker": marker, "label": label})
        _draw(ratio, line.decibels, {"color": color, "marker": marker, "label": label})
    precision.set(ylabel="points", title="average precision")
    ratio.set(ylabel="dB", title="signal to quantization noise of the maps")
    for axes in (precision, ratio):
        axes.set_xscale("log", base=2)
        numbers = list(lines[0].points)
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.set_xlabel("calibration images")
        axes.grid(axis="y", alpha=0.3)
    precision.legend(fontsize=8)
    return figure


def _draw(axes: Axes, values: Mapping[int, Sequence[float]], style: dict[str, str]) -> None:
    """Draw a line through the means over seeds, a dot per seed, and their range as a band."""
    numbers, groups = list(values), list(values.values())
    low, high = [min(seeds) for seeds in groups], [max(seeds) for seeds in groups]
    color = style["color"]
    axes.fill_between(numbers, low, high, color=color, alpha=SPREAD_ALPHA, linewidth=0)
    for number, seeds in values.items():
        axes.plot([number] * len(seeds), seeds, style["marker"], color=color, ms=3, alpha=0.6)
    axes.plot(numbers, [fmean(seeds) for seeds in groups], **style)
