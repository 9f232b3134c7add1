"""What ``measure.py`` found out, as one HTML page that opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from runtime.html_page import Chapter, Document, document_page
from runtime.html_parts import Html
from runtime.measure_page_device import device, memory
from runtime.measure_page_layers import layers
from runtime.measure_page_origin import artifacts, comparison, machine, reproduce, settings
from runtime.measure_page_parts import TitledRun, titled_runs
from runtime.measure_page_stages import where_time_goes
from runtime.measure_page_summary import in_short
from runtime.measure_page_times import cold_start, distribution, throughput
from runtime.measurement import Comparison, Measurement, Run
from runtime.treemap import STYLE as TREEMAP_STYLE

TIMES_SIGN = "\N{MULTIPLICATION SIGN}"


def page(measurement: Measurement) -> str:
    """Return the page; what was not measured is left out, in its text and in its navigation.

    Args:
        measurement: Of at least one artifact.

    Raises:
        ValueError: If there is none.
    """
    if not measurement.runs:
        raise ValueError("got a measurement of no artifact; expected at least one")
    document = Document(
        _title(measurement.runs),
        _lead(measurement),
        _chapters(measurement),
        f"Made by python runtime/measure.py from a measurement of {_moment(measurement.started)}.",
        TREEMAP_STYLE,
    )
    return document_page(document)


def _chapters(measurement: Measurement) -> list[Chapter]:
    runs = titled_runs(measurement.runs)
    comparisons = _with_titles(measurement.comparisons, runs)
    sections: dict[tuple[str, str], Html] = {
        ("summary", "In short"): in_short(runs, comparisons),
        ("stages", "Stages"): where_time_goes(runs),
        ("distribution", "Distribution"): distribution(runs),
        ("throughput", "Throughput"): throughput(runs),
        ("cold-start", "Cold start"): cold_start(runs),
        ("memory", "Memory"): memory(runs),
        ("layers", "Layers"): layers(runs),
        ("device", "Device"): device(runs),
        ("comparison", "Comparison"): comparison(comparisons),
        ("artifacts", "Artifacts"): artifacts(runs),
        ("machine", "Machine"): machine(measurement.machine),
        ("settings", "Settings"): settings(measurement.settings),
        ("reproduce", "Again"): reproduce(measurement),
    }
    return [Chapter(key, name, content) for (key, name), content in sections.items() if content]


def _title(runs: Sequence[Run]) -> str:
    if len(runs) > 1:
        return f"Latency of {len(runs)} artifacts"
    run = runs[0]
    size = TIMES_SIGN.join(map(str, run.size_hw))
    return f"Latency: {run.model} at {size}, {run.precision.upper()}"


def _lead(measurement: Measurement) -> str:
    frames = " and ".join(sorted({str(run.frames) for run in measurement.runs}))
    backends = " and ".join(sorted({run.backend for run in measurement.runs}))
    when = _moment(measurement.started)
    return (
        f"{frames} frames through all stages with {backends}, measured {when} on "
        f"{measurement.machine['cpu']}."
    )


def _moment(started: str) -> str:
    """Return a date and time for people, to the minute."""
    moment = datetime.fromisoformat(started)
    zone = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M} {'UTC' if zone == '+0000' else zone}".strip()


def _with_titles(
    comparisons: Sequence[Comparison], runs: Sequence[TitledRun]
) -> tuple[Comparison, ...]:
    """Name artifacts as the rest of the page does; a baseline's file keeps its path."""
    titles = {titled.run.artifact: titled.title for titled in runs}
    return tuple(
        replace(
            entry,
            artifact=titles.get(entry.artifact, entry.artifact),
            baseline=titles.get(entry.baseline, entry.baseline),
        )
        for entry in comparisons
    )
