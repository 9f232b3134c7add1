"""Means, spreads, and goals from single measurements, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.int8_accuracy_tables import (
    FP32,
    accuracy_table,
    goals_of,
    points,
    rows_by_label,
    standard_error,
    summary_of,
)
from calibration.sessions import Form


def row(label: str, seed: int | None, ap: float, built: float | None = None) -> dict[str, Any]:
    forms = {"portable": ap} | ({} if built is None else {"onnxruntime": built})
    parts = {form: [value - 0.1, value + 0.1] for form, value in forms.items()}
    rest = {"ap_of_parts": parts, "seconds": 10.0, "sqnr_db": 30.0}
    return {"label": label, "seed": seed, "ap": forms, **rest}


ROWS = [
    row(FP32, None, 0.80),
    row("ours", 1, 0.797, 0.796),
    row("ours", 2, 0.799, 0.794),
    row("peer a", 1, 0.798),
    row("peer b", 2, 0.797),
    row("peer c", 7, 0.9),
]


def test_rows_are_grouped_in_order() -> None:
    groups = rows_by_label(ROWS)
    assert list(groups) == [FP32, "ours", "peer a", "peer b", "peer c"]
    assert points(groups["ours"]) == pytest.approx([79.7, 79.9])
    assert points(groups["ours"], Form.ONNXRUNTIME) == pytest.approx([79.6, 79.4])
    assert points(groups[FP32], Form.ONNXRUNTIME) == []


def test_a_summary_over_seeds() -> None:
    summary = summary_of(rows_by_label(ROWS)["ours"], ROWS[0])
    assert summary["seeds"] == [1, 2] and summary["seconds"] == 10 and summary["sqnr_db"] == 30
    expected = {"mean": 79.8, "spread": 0.141, "lowest": 79.7, "below_fp32": 0.2}
    assert summary["portable"] == pytest.approx({**expected, "standard_error": 0.0})
    assert summary["onnxruntime"]["below_fp32"] == pytest.approx(0.5)


def test_one_value_has_no_spread_and_no_seed_is_no_seed() -> None:
    summary = summary_of(ROWS[:1], ROWS[0])
    assert summary["portable"]["spread"] is None and summary["seeds"] == []
    assert "onnxruntime" not in summary


def test_the_standard_error_is_that_of_the_loss_on_each_part() -> None:
    fp32 = {"ap_of_parts": {"portable": [0.80, 0.70, 0.90, 0.60]}}
    # Losses of 1, 3, 1 and 3 points on the mean of two seeds: deviation 2 / sqrt(3), over sqrt(4).
    seeds = [[0.79, 0.66, 0.88, 0.58], [0.79, 0.68, 0.90, 0.56]]
    rows = [{"ap_of_parts": {"portable": parts}} for parts in seeds]
    assert standard_error(rows, Form.PORTABLE, fp32) == pytest.approx(1 / 3**0.5, abs=1e-3)
    nothing = {"ap_of_parts": {"portable": []}}
    assert standard_error([nothing], Form.PORTABLE, nothing) is None


def test_the_table_has_a_line_for_each_way() -> None:
    groups = rows_by_label(ROWS)
    table = accuracy_table({name: summary_of(group, ROWS[0]) for name, group in groups.items()})
    lines = table.splitlines()
    assert len(lines) == 1 + len(groups)
    assert "79.80 ± 0.14" in lines[2] and "+0.20" in lines[2] and "79.50 ± 0.14" in lines[2]
    assert lines[1].split()[-5:] == ["-", "-", "30.0", "10", "0"]


def test_goals_compare_over_the_seeds_that_both_have() -> None:
    lost, lead = goals_of(ROWS, {"ours": 0.3, "not measured": 0.1}, ("peer", "absent"))
    assert lost.value == pytest.approx(0.2) and lost.is_met
    # Behind setting a on seed 1 by 0.1, ahead of setting b on seed 2 by 0.2; c shares no seed.
    assert lead.value == pytest.approx(-0.1) and not lead.is_met
    assert "ours" in lead.name and "peer" in lead.name


def test_a_loss_beyond_its_limit_is_missed() -> None:
    (lost,) = goals_of(ROWS, {"ours": 0.1}, ())
    assert not lost.is_met
