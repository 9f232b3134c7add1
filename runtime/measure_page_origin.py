"""The measurement page's last sections: comparison, artifacts, machine, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.html_charts import figure
from runtime.html_numbers import short
from runtime.html_parts import Cell, Html, paragraph, section, table, tag
from runtime.measure_charts_runs import forest_plot, interval_text
from runtime.measure_page_parts import ABSENT, TitledRun, code, text_cell
from runtime.measurement import Comparison, Measurement

DIGEST_DIGITS = 16
# Names of `runtime.machine_facts` that are not words.
FACT_NAMES = {"cpu": "CPU", "gpu": "GPU", "memory_gib": "memory, GiB", "python": "Python"}
COMPARED = (
    "A dot is the ratio to the baseline, its line the 95 % confidence interval: where it crosses "
    "1, no difference was shown. Artifacts of one call were measured in turns; the figures of a "
    "baseline's file are older."
)


def comparison(comparisons: Sequence[Comparison]) -> Html:
    """Return ratios as a forest plot and as a table; empty without any."""
    if not comparisons:
        return Html()
    rows: list[list[str | Cell]] = [
        [
            entry.artifact,
            text_cell(entry.baseline),
            text_cell(entry.figure),
            short(entry.ratio),
            Cell(interval_text(entry), "number"),
            Cell(entry.verdict, f"text {_colour(entry.verdict)}"),
        ]
        for entry in comparisons
    ]
    texts = text_cell("baseline"), text_cell("figure")
    head = ("artifact", *texts, "ratio", "95 % interval", text_cell("verdict"))
    listed = table("Ratios to the baseline", head, rows)
    chart = figure(forest_plot(comparisons))
    return section("comparison", "Comparison", paragraph(COMPARED), chart, listed)


def artifacts(runs: Sequence[TitledRun]) -> Html:
    """Return what was measured, with digests."""
    rows: list[tuple[str | Cell, ...]] = [
        (
            titled.run.artifact,
            text_cell(titled.run.model),
            text_cell("\N{MULTIPLICATION SIGN}".join(map(str, titled.run.size_hw))),
            text_cell(titled.run.precision.upper()),
            text_cell(titled.run.backend),
            str(titled.run.frames),
            text_cell(tag("code", titled.run.sha256[:DIGEST_DIGITS], title=titled.run.sha256)),
        )
        for titled in runs
    ]
    texts = [text_cell(name) for name in ("network", "size", "precision", "backend")]
    head: tuple[str | Cell, ...] = ("artifact", *texts, "frames", text_cell("SHA-256"))
    return section("artifacts", "Artifacts", table("What was measured", head, rows))


def machine(facts: Mapping[str, Any]) -> Html:
    """Return the machine and its libraries."""
    return section("machine", "Machine", _facts_table("Machine", facts))


def settings(found: Mapping[str, Any]) -> Html:
    """Return the options that matter; empty without any."""
    return section("settings", "Settings", _facts_table("Options", found)) if found else Html()


def reproduce(measurement: Measurement) -> Html:
    """Return the command that measures this again, and how to see that the files are the same."""
    digests = "\n".join(f"{run.sha256}  {run.artifact}" for run in measurement.runs)
    return section(
        "reproduce",
        "Measure it again",
        paragraph("In the root of the repository:"),
        tag("pre", code(measurement.command)),
        paragraph("The artifacts are the same if their SHA-256 digests are:"),
        tag("pre", code(digests)),
    )


def _facts_table(caption: str, facts: Mapping[str, Any]) -> Html:
    rows = [
        (FACT_NAMES.get(name, name.replace("_", " ")), text_cell(_written(value)))
        for name, value in facts.items()
    ]
    return table(caption, ("what", text_cell("value")), rows)


def _written(value: Any) -> str:
    """Return a value of JSON for people."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    if value is None:
        return ABSENT  # not told by the machine, or not given
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _colour(verdict: str) -> str:
    return {"faster": "better", "slower": "worse"}.get(verdict, "same")
