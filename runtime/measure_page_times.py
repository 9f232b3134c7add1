"""The measurement page's sections on times: how they are spread, batches, the cold start."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.html_axis import Axis
from runtime.html_charts import bar, figure
from runtime.html_numbers import decimals_for, number, percent
from runtime.html_parts import Cell, Html, folded, join, paragraph, section, table, tag
from runtime.latency import Bar
from runtime.measure_charts import (
    Part,
    Whole,
    histogram_axis,
    latency_histogram,
    small_histogram,
    stacked_bars,
    warmup_chart,
)
from runtime.measure_page_parts import (
    LATENCY_COLUMNS,
    TitledRun,
    each_run,
    latency_cells,
    latency_decimals,
)
from runtime.measure_text import FRAMES_FOR_P99
from runtime.measurement import Journey

SPREAD = (
    "How many frames took how long, on a logarithmic axis: nothing is clipped or left out, and a "
    "bar of one frame is still drawn."
)
BATCHES = "The network alone: more frames per run cost each frame the wait for the whole run."
START = (
    "From a new process to its first result. The files may lie in the system's cache; after a "
    "reboot the disk adds its time."
)


def distribution(runs: Sequence[TitledRun]) -> Html:
    """Return how times are spread: end to end, by stage, and during the warm-up."""
    axis = histogram_axis(entry for titled in runs for entry in titled.run.journey.histogram)
    made = each_run(runs, lambda titled: _spread(titled.run.journey, axis))
    return section("distribution", "Distribution", paragraph(SPREAD), made)


def throughput(runs: Sequence[TitledRun]) -> Html:
    """Return frames per second by batch size; empty without any."""
    made = each_run(runs, _throughput)
    return section("throughput", "Throughput", paragraph(BATCHES), made) if made else made


def cold_start(runs: Sequence[TitledRun]) -> Html:
    """Return the way to the first result; empty if it was not measured."""
    made = each_run(runs, _cold_start)
    return section("cold-start", "Cold start", paragraph(START), made) if made else made


def _spread(journey: Journey, axis: Axis) -> Html:
    whole = journey.end_to_end
    chart = latency_histogram(journey.histogram, whole, axis, "End to end")
    few = f" Of fewer than {FRAMES_FOR_P99}, p99 says little more than the longest."
    note = few if whole.count < FRAMES_FOR_P99 else ""
    parts = [
        figure(chart, f"{whole.count} frames, end to end.{note}"),
        _percentiles(journey),
        folded("The histogram in numbers", _counts(journey.histogram)),
        tag("h3", "Each stage"),
        _small_ones(journey),
    ]
    if journey.warmup_ms:
        parts += [tag("h3", "Warm-up"), _warmup(journey)]
    return join(parts)


def _percentiles(journey: Journey) -> Html:
    named = {"end to end": journey.end_to_end, "bare network": journey.bare}
    named.update((entry.stage, entry.latency) for entry in journey.stages)
    decimals = latency_decimals(list(named.values()))
    rows = [(name, *latency_cells(latency, decimals)) for name, latency in named.items()]
    caption = "Milliseconds; percentiles of stages do not add up"
    return table(caption, ("stage", *LATENCY_COLUMNS), rows)


def _counts(bars: Sequence[Bar]) -> Html:
    decimals = decimals_for((bars[0].to_ms,))
    rows = [
        (
            f"{number(entry.from_ms, decimals)} to {number(entry.to_ms, decimals)}",
            str(entry.count),
        )
        for entry in bars
    ]
    return table("Frames by end-to-end time", ("ms", "frames"), rows)


def _small_ones(journey: Journey) -> Html:
    figures = (
        figure(
            small_histogram(entry.histogram, entry.latency, f"{entry.stage} by frame"), entry.stage
        )
        for entry in journey.stages
        if entry.histogram
    )
    legend = "The line is p99; each picture has an axis of its own."
    return join((paragraph(legend), tag("div", *figures, class_="ranges")))


def _warmup(journey: Journey) -> Html:
    times = journey.warmup_ms
    decimals = decimals_for(times)
    rows = [(str(index), number(value, decimals)) for index, value in enumerate(times, 1)]
    text = f"The first {len(times)} frames count nowhere else on this page."
    chart = figure(warmup_chart(times, journey.end_to_end.p50_ms), text)
    return join((chart, folded("The warm-up in numbers", table(text, ("frame", "ms"), rows))))


def _throughput(titled: TitledRun) -> Html:
    found = titled.run.throughput
    if not found:
        return Html()
    decimals = latency_decimals([entry.latency for entry in found])
    each_decimals = decimals_for(entry.latency.p50_ms / entry.batch for entry in found)
    most = max(entry.frames_per_second for entry in found)
    rate_decimals = decimals_for((most,))
    rows: list[list[str | Cell]] = []
    for entry in found:
        rate = number(entry.frames_per_second, rate_decimals)
        drawn = bar(entry.frames_per_second, most, "plain")
        cells = (
            number(entry.latency.p50_ms / entry.batch, each_decimals),
            number(entry.latency.p50_ms, decimals),
            number(entry.latency.p99_ms, decimals),
        )
        rows.append([str(entry.batch), Cell(join((rate, " ", drawn)), "number"), *cells])
    head = ("batch", "frames per second", "ms per frame", "a run: p50, ms", "p99, ms")
    return table("Frames per second at the median, by frames per run", head, rows)


def _cold_start(titled: TitledRun) -> Html:
    start = titled.run.cold_start
    if start is None:
        return Html()
    steps = {
        "Python and libraries": start.imports_ms,
        "open the artifact": start.open_ms,
        "first picture": start.first_frame_ms,
    }
    parts = tuple(Part(name, ms, hue) for hue, (name, ms) in enumerate(steps.items()))
    decimals = decimals_for((start.total_ms,))
    rows: list[tuple[str | Cell, ...]] = [
        (name, number(ms, decimals), percent(ms / start.total_ms)) for name, ms in steps.items()
    ]
    total = (number(start.total_ms, decimals), percent(1.0))
    rows.append((Cell("to the first result", "sum"), *(Cell(cell, "sum") for cell in total)))
    chart = stacked_bars([Whole("to the first result", parts)], "Cold start", start.total_ms)
    return join((figure(chart), table("Cold start", ("step", "ms", "share"), rows)))
