"""Sensitivity as a ranked table for people, and as JSON for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.operations import operation_share
from calibration.sensitivity_trials import Row, Sensitivity, rank

# By metric: how people call it, the unit of its differences, and how many of these make 1.
METRICS = {"ap": ("AP", "points", 100), "sqnr_db": ("SQNR", "dB", 1)}


def summary(result: Sensitivity) -> str:
    """Return what was measured, as one line for people."""
    meter = result.meter
    if meter.metric == "ap":
        return (
            f"AP on {meter.images} images: {meter.float_value:.4f} in float, "
            f"{result.int8_value:.4f} in INT8"
        )
    return (
        f"SQNR of the maps on {meter.images} images: {result.int8_value:.1f} dB in INT8, "
        f"{meter.float_value:.1f} dB at best"
    )


def table(result: Sensitivity, operations: Mapping[str, int]) -> str:
    """Return blocks and convolutions, most sensitive first.

    Args:
        result: The sensitivities.
        operations: Multiply-adds of every convolution, by its name.
    """
    _, unit, _ = METRICS[result.meter.metric]
    titles = ("lost alone", "gained back", "operations")
    notes = (
        f"lost alone: {unit} lost when only it is in INT8; gained back: {unit} gained when only it "
        "returns to float; operations: its share of the multiply-adds",
    )
    lines = [summary(result), *notes]
    for kind, rows in (("block", result.blocks), ("convolution", result.nodes)):
        cells = [_cells(result, row, operations) for row in rank(rows)]
        width = max(len(kind), *(len(name) for name, *_ in cells))
        lines += ["", f"{kind:{width}s}  {'  '.join(titles)}  module"]
        lines += [
            f"{name:{width}s}  {lost:>10s}  {gained:>11s}  {share:>10s}  {module}"
            for name, lost, gained, share, module in cells
        ]
    return "\n".join(lines)


def record(result: Sensitivity, operations: Mapping[str, int]) -> dict[str, Any]:
    """Return the result as JSON; AP in [0, 1], its losses and gains too."""
    return {
        "metric": result.meter.metric,
        "images": result.meter.images,
        "float": result.meter.float_value,
        "int8": result.int8_value,
        "nodes": [
            {"node": row.part.name, "module": row.part.module, "block": row.part.block}
            | _figures(row, operations)
            for row in rank(result.nodes)
        ],
        "blocks": [
            {"block": row.part.name, "nodes": list(row.part.nodes)} | _figures(row, operations)
            for row in rank(result.blocks)
        ],
    }


def _figures(row: Row, operations: Mapping[str, int]) -> dict[str, float]:
    share = operation_share(operations, row.part.nodes).percent
    return {
        "only_int8": row.only_int8,
        "only_float": row.only_float,
        "operations_percent": round(share, 3),
    }


def _cells(
    result: Sensitivity, row: Row, operations: Mapping[str, int]
) -> tuple[str, str, str, str, str]:
    scale = METRICS[result.meter.metric][2]
    share = operation_share(operations, row.part.nodes).percent
    figures = f"{scale * row.only_int8:.2f}", f"{scale * row.only_float:.2f}", f"{share:.1f} %"
    module = row.part.module if row.part.name != row.part.block else ""
    return row.part.name, *figures, module
