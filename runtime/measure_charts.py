"""Charts of the measurement page: stages as bars, how latencies are spread, and warm-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runtime.html_axis import Axis, Scale
from runtime.html_charts import fluid, line, rectangle, tick, upright, words
from runtime.html_numbers import milliseconds, plain
from runtime.html_parts import Html, join, tag
from runtime.latency import Bar, Latency

ROW_PX, BAR_PX, TEXT_PX = 58, 30, 16
PLOT_PX = 150
SMALL_PLOT_PX = 64
AXIS_PX = 18
# What is counted stays visible: the tail is one frame in hundreds.
LOWEST_BAR_PX = 2.0
# Numbers of an axis closer than this, in percent, run into each other on a phone.
APART, SMALL_APART = 14.0, 34.0
# A part is named where its name has room on a phone; pixels.
PHONE_PX, CHARACTER_PX, BESIDE_NAME_PX = 340, 6.8, 14


@dataclass(frozen=True)
class Part:
    """One part of a bar: its name, its milliseconds and its colour's number."""

    name: str
    mean_ms: float
    hue: int


@dataclass(frozen=True)
class Whole:
    """One bar: its name and its parts from left to right."""

    name: str
    parts: tuple[Part, ...]

    @property
    def mean_ms(self) -> float:
        """All parts together."""
        return sum(part.mean_ms for part in self.parts)


def stacked_bars(wholes: Sequence[Whole], what: str, longest_ms: float) -> Html:
    """Draw bars below each other on one axis of milliseconds that begins at zero.

    Args:
        wholes: One for each bar.
        what: What the bars are, for those who cannot see them.
        longest_ms: Where the axis ends, above zero; the same for pictures to be compared.
    """
    axis = Axis(0.0, longest_ms)
    drawn = [_stacked_bar(whole, axis, row * ROW_PX) for row, whole in enumerate(wholes)]
    bottom_px = len(wholes) * ROW_PX
    content = join((*drawn, axis_numbers(axis, bottom_px, "ms")))
    said = "; ".join(f"{whole.name} {milliseconds(whole.mean_ms)}" for whole in wholes)
    return fluid(bottom_px + AXIS_PX, f"{what}: {said}", content)


def histogram_axis(bars: Iterable[Bar]) -> Axis:
    """Return an axis for bars, with a little room beyond the outermost ones.

    Args:
        bars: At least one; also those of several histograms.
    """
    ends = [end for bar in bars for end in (bar.from_ms, bar.to_ms)]
    margin = (max(ends) / min(ends)) ** 0.04
    return Axis(min(ends) / margin, max(ends) * margin, Scale.LOGARITHMIC)


def latency_histogram(bars: Sequence[Bar], latency: Latency, axis: Axis, what: str) -> Html:
    """Draw how often a time was met, on a logarithmic axis, its percentiles marked.

    Args:
        bars: At least one.
        latency: Of the same times.
        axis: From ``histogram_axis``; the same for pictures to be compared.
        what: What took the time, for those who cannot see it.
    """
    values = (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms)
    marks = tuple(zip(("p50", "p95", "p99", "max"), values, strict=True))
    top_px = TEXT_PX * len(marks) + 4
    bottom_px = top_px + PLOT_PX
    content = join(
        (
            _counted_bars(bars, axis, top_px, PLOT_PX),
            *(
                _mark(name, ms, axis.place(ms), row, bottom_px)
                for row, (name, ms) in enumerate(marks)
            ),
            line((0, bottom_px), (100, bottom_px), "axis"),
            axis_numbers(axis, bottom_px, "ms"),
        )
    )
    said = ", ".join(f"{name} {milliseconds(ms)}" for name, ms in marks)
    return fluid(bottom_px + AXIS_PX, f"{what}, {latency.count} frames: {said}", content)


def small_histogram(bars: Sequence[Bar], latency: Latency, what: str) -> Html:
    """Draw the same without words, to stand beside others of its kind; the line is p99."""
    axis = histogram_axis(bars)
    content = join(
        (
            _counted_bars(bars, axis, 0, SMALL_PLOT_PX),
            upright(axis.place(latency.p99_ms), 0, SMALL_PLOT_PX, "clip"),
            line((0, SMALL_PLOT_PX), (100, SMALL_PLOT_PX), "axis"),
            axis_numbers(axis, SMALL_PLOT_PX, "ms", SMALL_APART),
        )
    )
    said = f"p50 {milliseconds(latency.p50_ms)}, p99 {milliseconds(latency.p99_ms)}"
    return fluid(SMALL_PLOT_PX + AXIS_PX, f"{what}: {said}", content)


def warmup_chart(warmup_ms: Sequence[float], p50_ms: float) -> Html:
    """Draw the first frames as bars, and the median of those that count as a line.

    Args:
        warmup_ms: One value per frame, at least one.
        p50_ms: Median of the frames that count.
    """
    axis = Axis(0.0, max(*warmup_ms, p50_ms) * 1.05)
    width = 100 / len(warmup_ms)
    # Upright: what is across elsewhere is height here.
    heights = [axis.place(value) / 100 * PLOT_PX for value in warmup_ms]
    gap = min(1.0, width / 8)
    bars = (
        rectangle(i * width, (i + 1) * width - gap, TEXT_PX + PLOT_PX - height, height)
        for i, height in enumerate(heights)
    )
    bottom_px = TEXT_PX + PLOT_PX
    median_px = bottom_px - axis.place(p50_ms) / 100 * PLOT_PX
    content = join(
        (
            *bars,
            line((0, median_px), (100, median_px), "mark"),
            words(f"dotted: p50 of all that count, {milliseconds(p50_ms)}", 100, TEXT_PX - 5),
            line((0, bottom_px), (100, bottom_px), "axis"),
            tick("first frame", 0, bottom_px + AXIS_PX - 4),
            tick("last before counting", 100, bottom_px + AXIS_PX - 4),
        )
    )
    said = f"first {milliseconds(warmup_ms[0])}, last {milliseconds(warmup_ms[-1])}"
    return fluid(bottom_px + AXIS_PX, f"{len(warmup_ms)} frames of warm-up: {said}", content)


def axis_numbers(axis: Axis, top_px: float, unit: str, apart: float = APART) -> Html:
    """Write round numbers below an axis, the unit at the last.

    Args:
        axis: Of the chart.
        top_px: Where the axis is.
        unit: "" for none.
        apart: Percent between two numbers; those that are closer are left out.
    """
    values: list[float] = []
    for value in axis.ticks():
        if not values or axis.place(value) - axis.place(values[-1]) >= apart:
            values.append(value)
    return join(
        tick(
            f"{plain(value)} {unit}".strip() if value == values[-1] else plain(value),
            axis.place(value),
            top_px + AXIS_PX - 4,
        )
        for value in values
    )


def _stacked_bar(whole: Whole, axis: Axis, top_px: float) -> Html:
    drawn = [words(f"{whole.name}: {milliseconds(whole.mean_ms)}", 0, top_px + TEXT_PX)]
    bar_px = top_px + TEXT_PX + 6
    done_ms = 0.0
    for part in whole.parts:
        left, right = axis.place(done_ms), axis.place(done_ms + part.mean_ms)
        done_ms += part.mean_ms
        named = f"{part.name}: {milliseconds(part.mean_ms)}"
        block = rectangle(left, right, bar_px, BAR_PX, f"part hue{part.hue}")
        drawn.append(tag("g", tag("title", named), block))
        if (right - left) / 100 * PHONE_PX >= len(part.name) * CHARACTER_PX + BESIDE_NAME_PX:
            x, y = f"{left:.2f}%", f"{bar_px + BAR_PX / 2 + 4:.1f}"
            drawn.append(tag("text", part.name, class_="inside", x=x, y=y, dx=7))
    return join(drawn)


def _counted_bars(bars: Sequence[Bar], axis: Axis, top_px: float, plot_px: float) -> Html:
    most = max(bar.count for bar in bars)
    drawn = []
    for bar in bars:
        if bar.count:
            height = max(LOWEST_BAR_PX, plot_px * bar.count / most)
            left, right = axis.place(bar.from_ms), axis.place(bar.to_ms)
            drawn.append(rectangle(left, right, top_px + plot_px - height, height, "bars part"))
    return join(drawn)


def _mark(name: str, value_ms: float, x: float, row: int, bottom_px: float) -> Html:
    """Draw one percentile: its line and, in a row of its own, its name."""
    text_px = (row + 1) * TEXT_PX - 3
    kind = "clip" if name == "p99" else "mark"
    text = words(f"{name} {milliseconds(value_ms)}", x, text_px, gap_px=5)
    return join((upright(x, text_px - 10, bottom_px, kind), text))
