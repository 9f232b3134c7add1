"""A small result file of the experiments, with figures that are easy to follow."""

from __future__ import annotations

from typing import Any

from benchmarks.anchors import anchor_facts
from benchmarks.experiments_budget import QUICK, budget_facts
from benchmarks.experiments_decoding import AE_THRESHOLDS, OFFSETS

KEYS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def figures(ap: float, **others: float) -> dict[str, Any]:
    """Return an evaluation in which every figure is ``ap`` unless named."""
    return {**dict.fromkeys(KEYS, ap), "images": 4, **others}


def run(pooling: str, seed: int, ap: float, **others: float) -> dict[str, Any]:
    """Return a training run that climbs to ``ap`` in two evaluations."""
    return {
        "pooling": pooling,
        "seed": seed,
        "seconds": 60.0 * seed,
        "weights_sha256": "0" * 64,
        "curve": [{"step": 1, "ap": ap / 2}, {"step": 2, "ap": ap}],
        "final": figures(ap, **others),
    }


def pairing(weights: str, image_set: str, ap: float) -> dict[str, Any]:
    """Return AP falling by 0.1, and wrong pairs rising by 10, from threshold to threshold."""
    rows = [
        {
            "ae_threshold": name,
            "shown": 100,
            "wrong_pairs": 10 * place,
            **figures(ap - 0.1 * place),
        }
        for place, name in enumerate(AE_THRESHOLDS)
    ]
    return {"weights": weights, "set": image_set, "rows": rows}


def offsets(weights: str, ap: float) -> dict[str, Any]:
    """Return AP falling by 0.1 from choice to choice."""
    rows = [
        {"offsets": name, **figures(ap - 0.1 * place, ap_large=-1.0)}
        for place, name in enumerate(OFFSETS)
    ]
    return {"weights": weights, "set": "ordinary", "rows": rows}


def body(with_runs: bool = True) -> dict[str, Any]:
    """Return a result file, as it reads back."""
    runs = [run("with", 1, 0.5), run("without", 1, 0.4), run("with", 2, 0.7)]
    runs.append(run("without", 2, 0.4))
    weights = ["shipped", "seed 1", "seed 2"] if with_runs else ["shipped"]
    return {
        "started": "2026-01-02T03:04:05+00:00",
        "machine": {
            "cpu": "Some CPU",
            "cores": 1,
            "memory_gib": 1.0,
            "gpu": "none used",
            "system": "Linux",
            "python": "3.11",
            "libraries": {"numpy": "2"},
        },
        "settings": {"model": "cornernet-nano", **budget_facts(QUICK), "shipped_size_hw": [9, 9]},
        "facts": {
            "anchors": anchor_facts(["cornernet-nano"]),
            "corner_pooling": runs if with_runs else [],
            "pairing": [
                pairing(name, image_set, 0.9 - 0.2 * place)
                for place, name in enumerate(weights)
                for image_set in ("crowded", "ordinary")
            ],
            "offsets": [offsets(name, 0.9 - 0.2 * place) for place, name in enumerate(weights)],
        },
    }
