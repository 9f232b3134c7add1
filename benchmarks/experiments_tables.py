"""The experiments' tables in Markdown, and their places in the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from benchmarks.demo_page import ABSENT, AP_COLUMNS, markdown_table
from runtime.errors import UsageError
from runtime.machine_facts import machine_line

Facts = Mapping[str, Any]

# What CornerNet's authors gained with corner pooling on COCO, overall, on medium and large objects.
# Source: CornerNet, arXiv:1808.01244, section 4.3.
PUBLISHED_GAIN = {"ap": 0.020, "ap_medium": 0.024, "ap_large": 0.036}
OFFSET_COLUMNS = ("ap", "ap75", "ap_small", "ap_medium", "ap_large")
SHIPPED = "shipped"
NOT_MEASURED = "Not measured yet: it needs the six training runs of `make experiments`."
DASH = "-"

PLACE = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def experiment_tables(body: Facts) -> dict[str, str]:
    """Return every table by its name in the document.

    Args:
        body: A result file of ``benchmarks.experiments``.
    """
    facts = body["facts"]
    tables: dict[str, Callable[[], str]] = {
        "budget": lambda: budget_table(body),
        "anchors": lambda: anchor_table(facts["anchors"]),
        "corners": lambda: corner_table(facts["anchors"]),
        "corner-pooling": lambda: pooling_table(facts["corner_pooling"]),
        "corner-pooling-seeds": lambda: seeds_table(facts["corner_pooling"]),
        "embeddings-crowded": lambda: pairing_table(facts["pairing"], "crowded"),
        "embeddings-ordinary": lambda: pairing_table(facts["pairing"], "ordinary"),
        "offsets-shipped": lambda: offset_table(facts["offsets"], trained_here=False),
        "offsets-runs": lambda: offset_table(facts["offsets"], trained_here=True),
    }
    return {name: table() for name, table in tables.items()}


def fill_tables(document: str, tables: Mapping[str, str]) -> str:
    """Replace what stands between the markers of each table.

    Raises:
        UsageError: If the document and ``tables`` do not name the same tables.
    """
    named = [match[1] for match in PLACE.findall(document)]
    if sorted(named) != sorted(tables):
        raise UsageError(
            f"the document has places for {', '.join(sorted(named)) or 'no table'}; "
            f"expected each of {', '.join(sorted(tables))} once; mark them <!-- table: NAME -->"
        )
    return PLACE.sub(lambda match: f"{match[1]}\n{tables[match[2]]}\n\n{match[3]}", document)


def budget_table(body: Facts) -> str:
    """List what every run got, and on which machine."""
    settings = body["settings"]
    seconds = [run["seconds"] for run in body["facts"]["corner_pooling"]]
    minutes = f"{median(seconds) / 60:.1f} minutes" if seconds else DASH
    rows = [
        ("network", f"{settings['model']} at {_by(settings['size_hw'])}"),
        ("steps", f"{settings['steps']} of {settings['batch']} images"),
        ("images to learn from", str(settings["training_images"])),
        ("objects of the runs' images", f"from {settings['min_size_px']:g} px"),
        ("images of each evaluation set", str(settings["validation_images"])),
        ("seeds", ", ".join(str(seed) for seed in settings["seeds"])),
        ("time of a run, median", minutes),
        ("shipped weights", f"{settings['model']} at {_by(settings['shipped_size_hw'])}"),
    ]
    where = f"Measured on {body['started'][:10]}: {machine_line(body['machine'])}."
    return f"{markdown_table(('', 'here'), rows)}\n\n{where}"


def anchor_table(anchors: Facts) -> str:
    """List the candidate boxes of every anchor-based design."""
    sides = [f"{side}x{side}" for side in anchors["compared_sides_px"]]
    rows = [
        (
            design["name"],
            f"{_by(design['published_hw'])}: {design['published']:,}",
            *(f"{count:,}" for count in design["compared"]),
            design["source"],
        )
        for design in anchors["designs"]
    ]
    return markdown_table(("candidate boxes", "as published", *sides, "source"), rows)


def corner_table(anchors: Facts) -> str:
    """List what the CornerNets look at; only the number of cells depends on the image's size."""
    sides = [f"{side}x{side}" for side in anchors["compared_sides_px"]]
    rows = [
        (
            entry["name"],
            *(f"{counts['cells']:,}" for counts in entry["compared"]),
            *(f"{entry['compared'][0][key]:,}" for key in ("corners", "pairs", "boxes")),
        )
        for entry in anchors["corners"]
    ]
    head = (*(f"cells at {side}" for side in sides), "corners kept", "pairs of these", "boxes")
    return markdown_table(("network", *head), rows)


def pooling_table(runs: Sequence[Facts]) -> str:
    """Compare the runs with corner pooling and those without: mean and standard deviation."""
    if not runs:
        return NOT_MEASURED
    groups = {arm: [run["final"] for run in runs if run["pooling"] == arm] for arm in ARMS}
    rows = [
        (f"{arm} corner pooling", *(mean_text([f[key] for f in finals]) for key in AP_COLUMNS))
        for arm, finals in groups.items()
    ]
    gains = {key: _gains(runs, key) for key in AP_COLUMNS}
    rows.append(("gain, seed by seed", *(mean_text(gains[key], "+") for key in AP_COLUMNS)))
    published = (f"{PUBLISHED_GAIN[k]:+.3f}" if k in PUBLISHED_GAIN else DASH for k in AP_COLUMNS)
    rows.append(("gain published, on COCO", *published))
    return markdown_table(("", *AP_COLUMNS.values()), rows)


ARMS = ("with", "without")


def seeds_table(runs: Sequence[Facts]) -> str:
    """List the AP of every run."""
    if not runs:
        return NOT_MEASURED
    seeds = sorted({run["seed"] for run in runs})
    found = {(run["pooling"], run["seed"]): run["final"]["ap"] for run in runs}
    rows = [
        (
            f"seed {seed}",
            *(f"{found[arm, seed]:.3f}" for arm in ARMS),
            f"{found['with', seed] - found['without', seed]:+.3f}",
        )
        for seed in seeds
    ]
    return markdown_table(("AP", *ARMS, "gain"), rows)


def pairing_table(groups: Sequence[Facts], image_set: str) -> str:
    """Compare the largest distance of a pair: AP, and how many of the boxes shown are wrong."""
    chosen = [group for group in groups if group["set"] == image_set]
    shipped = [group for group in chosen if group["weights"] == SHIPPED]
    runs = [group for group in chosen if group["weights"] != SHIPPED]
    rows = [
        (
            row["ae_threshold"],
            *_pairing_cells([group["rows"][index] for group in shipped]),
            *_pairing_cells([group["rows"][index] for group in runs]),
        )
        for index, row in enumerate(shipped[0]["rows"])
    ]
    columns = ("AP", "wrong pairs", "boxes shown")
    head = [f"{who}: {column}" for who in ("shipped", "runs") for column in columns]
    return markdown_table(("largest distance", *head), rows)


def offset_table(groups: Sequence[Facts], *, trained_here: bool) -> str:
    """Compare what is added to a corner's cell, for the shipped weights or those of the runs."""
    chosen = [group for group in groups if (group["weights"] != SHIPPED) == trained_here]
    if not chosen:
        return NOT_MEASURED
    rows = [
        (
            row["offsets"],
            *(mean_text([group["rows"][i][key] for group in chosen]) for key in OFFSET_COLUMNS),
        )
        for i, row in enumerate(chosen[0]["rows"])
    ]
    return markdown_table(("offsets", *(AP_COLUMNS[key] for key in OFFSET_COLUMNS)), rows)


def mean_text(values: Sequence[float], sign: str = "") -> str:
    """Return mean and standard deviation (of a sample), or the one value there is.

    Args:
        values: At least one; below 0 means that the set holds no such objects, unless ``sign``.
        sign: "+" for differences, which are shown with their sign.
    """
    if not values or (not sign and min(values) < 0):
        return ABSENT
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):{sign}.3f}{spread}"


def _gains(runs: Sequence[Facts], key: str) -> list[float]:
    """Return what corner pooling adds with each seed; nothing where the set lacks the objects."""
    found = {(run["pooling"], run["seed"]): run["final"][key] for run in runs}
    pairs = [(found["with", seed], found["without", seed]) for arm, seed in found if arm == "with"]
    return [on - off for on, off in pairs if min(on, off) >= 0]


def _pairing_cells(rows: Sequence[Facts]) -> tuple[str, str, str]:
    if not rows:
        return DASH, DASH, DASH
    wrong, shown = (f"{fmean(row[key] for row in rows):.0f}" for key in ("wrong_pairs", "shown"))
    return mean_text([row["ap"] for row in rows]), wrong, shown


def _by(size_hw: Sequence[int]) -> str:
    return "x".join(str(side) for side in size_hw)
