"""The roofline as JSON, for pages and for other programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from export.device_record import Device
from export.roofline_bound import LayerBound, NetworkBound
from export.roofline_text import LEFT_OUT, TWO_BOUNDS, Roofline

FORMAT = "cornerrt-roofline-1"


def roofline_record(found: Roofline) -> dict[str, Any]:
    """Return everything as what ``json`` can write; times in ms, per run of ``batch`` frames."""
    operations = found.network.operations
    return {
        "format": FORMAT,
        "note": " ".join((*LEFT_OUT, *TWO_BOUNDS)),
        "network": found.title,
        "size_hw": found.size_hw,
        "batch": found.batch,
        "device": _device(found.device),
        "multiply_adds": operations.multiply_adds,
        "other_operations": operations.others,
        "unknown_operators": dict(found.network.unknown),
        "floor": _bound(found.bound),
        "floor_at_ceilings": _bound(found.ceiling_bound) if found.ceiling_bound else None,
        "changes": {
            title: [dataclasses.asdict(row) for row in rows]
            for title, rows in found.changes.items()
        },
        "predicted": _predicted(found),
    }


def _device(device: Device) -> dict[str, Any]:
    record = dataclasses.asdict(device)
    for figure in (
        *record["tera_operations"].values(),
        record["gigabytes_per_second"],
        record["l2_mebibytes"] or {"evidence": None},
    ):
        if figure["evidence"] is not None:
            figure["evidence"] = figure["evidence"].value
    return record


def _bound(bound: NetworkBound) -> dict[str, Any]:
    return {
        "precision": bound.precision,
        "whole_network_ms": bound.whole_ms,
        "layer_by_layer_ms": bound.layered_ms,
        "math_ms": bound.math_ms,
        "compulsory_bytes": bound.compulsory_bytes,
        "weight_bytes": bound.weight_bytes,
        "traffic_bytes": bound.traffic_bytes,
        "layers": [_layer(layer) for layer in bound.layers],
    }


def _layer(layer: LayerBound) -> dict[str, Any]:
    return {
        "nodes": list(layer.layer.nodes),
        "kind": layer.layer.kind,
        "module": layer.layer.module,
        "precision": layer.precision,
        "multiply_adds": layer.layer.operations.multiply_adds,
        "other_operations": layer.layer.operations.others,
        "bytes": layer.traffic_bytes,
        "operations_per_byte": layer.intensity,
        "floor_ms": layer.floor_ms,
        "bound_by": layer.bound_by,
    }


def _predicted(found: Roofline) -> dict[str, Any] | None:
    if found.predicted is None:
        return None
    predicted = found.predicted
    return {
        "artifact": predicted.measured.run.artifact,
        "device": predicted.measured.device,
        "network_ms": predicted.measured.network_ms,
        "elsewhere_ms": predicted.elsewhere_ms,
        "layers": [dataclasses.asdict(row) for row in predicted.layers],
    }
