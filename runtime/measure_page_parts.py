"""What the measurement page's sections share: names of artifacts, cells, one part per artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from runtime.html_numbers import decimals_for, number
from runtime.html_parts import Cell, Html, join, tag
from runtime.latency import Latency
from runtime.measurement import Run

ABSENT = "\N{EN DASH}"
LATENCY_COLUMNS = ("p50", "p90", "p95", "p99", "max", "mean")


@dataclass(frozen=True)
class TitledRun:
    """A run and what the page calls it."""

    title: str
    run: Run


def titled_runs(runs: Sequence[Run]) -> tuple[TitledRun, ...]:
    """Name runs by their artifacts: by file name, or by path where that tells them not apart."""
    names = [PurePath(run.artifact).name for run in runs]
    return tuple(
        TitledRun(name if names.count(name) == 1 else run.artifact, run)
        for name, run in zip(names, runs, strict=True)
    )


def each_run(runs: Sequence[TitledRun], part: Callable[[TitledRun], Html]) -> Html:
    """Return a part of every run, below its name if there are several; without those of no content.

    Args:
        runs: All runs.
        part: Makes the part; an empty one for a run without the data.
    """
    parts = [(titled, part(titled)) for titled in runs]
    if len(runs) == 1:
        return parts[0][1]
    return join(join((tag("h3", titled.title), made)) for titled, made in parts if made)


def latency_decimals(latencies: Sequence[Latency]) -> int:
    """Return how many decimals a table of latencies deserves: by its largest median.

    Not by its tail: 200 ms at worst must not hide that the letterbox takes 0.18 ms.
    """
    return decimals_for(latency.p50_ms for latency in latencies)


def latency_cells(latency: Latency, decimals: int) -> list[str]:
    """Return the cells of ``LATENCY_COLUMNS``, in milliseconds."""
    values = (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms)
    return [number(ms, decimals) for ms in (*values, latency.max_ms, latency.mean_ms)]


def text_cell(content: str) -> Cell:
    """Return a cell that reads from the left."""
    return Cell(content, "text")


def code(content: str) -> Html:
    """Return a name or a command as it is typed."""
    return tag("code", content)
