"""Rows of single measurements brought together: means over seeds, a table, and the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from benchmarks.common import Goal, Sense
from benchmarks.report import table_text
from calibration.sessions import Form

Row = Mapping[str, Any]

FP32, FP16 = "FP32", "FP16, rounded between operators"
POINTS = 100  # AP points in an AP of 1
ABSENT = "-"


def rows_by_label(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group single measurements by what was measured, in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["label"], []).append(row)
    return groups


def points(rows: Sequence[Row], form: Form = Form.PORTABLE) -> list[float]:
    """Return the AP of each row in points of a hundred; empty if it was not measured so."""
    return [POINTS * row["ap"][form.value] for row in rows if form.value in row["ap"]]


def summary_of(rows: Sequence[Row], fp32: Row) -> dict[str, Any]:
    """Bring the seeds of one way together, ready for JSON.

    Args:
        rows: One per seed.
        fp32: The float model's.

    Returns:
        By form, in AP points: ``mean``, ``spread`` (standard deviation over seeds, None for one
        seed), ``lowest``, ``below_fp32`` and its ``standard_error`` (None for too few images);
        ``sqnr_db`` and ``seconds``, means.
    """
    forms = {}
    for form in Form:
        values = points(rows, form)
        if values:
            forms[form.value] = {
                "mean": round(fmean(values), 3),
                "spread": round(stdev(values), 3) if len(values) > 1 else None,
                "lowest": round(min(values), 3),
                "below_fp32": round(points([fp32])[0] - fmean(values), 3),
                "standard_error": standard_error(rows, form, fp32),
            }
    means = {key: round(fmean(row[key] for row in rows), 2) for key in ("sqnr_db", "seconds")}
    seeds = [row["seed"] for row in rows if row["seed"] is not None]
    return {"seeds": seeds, **forms, **means}


def standard_error(rows: Sequence[Row], form: Form, fp32: Row) -> float | None:
    """Return how far chance may move the loss against FP32, in AP points; None if unknown.

    Both models see the same images: the loss on each tenth of them, mean over seeds, is a sample,
    and their spread says how sure their mean is.
    """
    parts = [row["ap_of_parts"][form.value] for row in rows]
    wanted = fp32["ap_of_parts"][Form.PORTABLE.value]
    if not wanted:
        return None
    means = [fmean(seeds) for seeds in zip(*parts, strict=True)]
    losses = [POINTS * (a - b) for a, b in zip(wanted, means, strict=True)]
    return round(stdev(losses) / len(losses) ** 0.5, 3)


def accuracy_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one line per way to INT8, as text.

    Behind an AP stands its standard deviation over seeds, behind a loss its standard error.
    """
    head = ("", "AP", "below FP32", "AP in ONNX Runtime", "below FP32", "SQNR dB", "s", "seeds")
    rows = []
    for label, summary in summaries.items():
        cells = [cell for form in Form for cell in _form_cells(summary.get(form.value))]
        tail = (f"{summary['sqnr_db']:.1f}", f"{summary['seconds']:.0f}", len(summary["seeds"]))
        rows.append((label, *cells, *map(str, tail)))
    return table_text(head, rows)


def goals_of(
    rows: Sequence[Row], targets: Mapping[str, float], peers: Sequence[str]
) -> tuple[Goal, ...]:
    """Set measurements against what was aimed at.

    Args:
        rows: All measurements, FP32 among them.
        targets: Label of a way of ours -> AP points that it may lie below FP32.
        peers: How the labels of each peer begin.

    Returns:
        For every target that was measured, the points lost; and the points by which it is ahead of
        the best setting of each peer, over the seeds that both have.
    """
    groups = rows_by_label(rows)
    fp32 = fmean(points(groups[FP32]))
    goals = []
    for label, limit in targets.items():
        if label not in groups:
            continue
        ours = groups[label]
        lost = fp32 - fmean(points(ours))
        goals.append(Goal(f"{label}: AP points below FP32", lost, Sense.AT_MOST, limit))
        for peer in peers:
            leads = [
                _lead(ours, theirs) for name, theirs in groups.items() if name.startswith(peer)
            ]
            known = [lead for lead in leads if lead is not None]
            if known:
                name = f"{label}: AP points ahead of {peer}'s best setting"
                goals.append(Goal(name, min(known), Sense.AT_LEAST, 0.0))
    return tuple(goals)


def _lead(ours: Sequence[Row], theirs: Sequence[Row]) -> float | None:
    """Return by how many points we are ahead, over the seeds that both have."""
    seeds = {row["seed"] for row in ours} & {row["seed"] for row in theirs}
    if not seeds:
        return None
    mine, others = (
        fmean(points([row for row in rows if row["seed"] in seeds])) for rows in (ours, theirs)
    )
    return mine - others


def _form_cells(form: Mapping[str, Any] | None) -> tuple[str, str]:
    if form is None:
        return ABSENT, ABSENT
    spread, error = (
        "" if form[key] is None else f" ± {form[key]:.2f}" for key in ("spread", "standard_error")
    )
    return f"{form['mean']:.2f}{spread}", f"{form['below_fp32']:+.2f}{error}"
