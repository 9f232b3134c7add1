"""The measurement page's section on layers: which are slow, and which modules they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.html_numbers import decimals_for, milliseconds, number, percent
from runtime.html_parts import Cell, Html, folded, join, paragraph, section, table, tag
from runtime.layer_table import (
    TOP_LAYERS,
    Share,
    by_kind,
    by_module,
    by_precision,
    rank_layers,
)
from runtime.layers import LayerProfile, LayerTime
from runtime.measure_page_parts import ABSENT, TitledRun, each_run, text_cell
from runtime.treemap import treemap

MODULES_SHOWN = 12


def layers(runs: Sequence[TitledRun]) -> Html:
    """Return a treemap and tables of every profiled run; empty if none was profiled."""
    made = each_run(runs, _layers)
    return section("layers", "Layers", made) if made else made


def _layers(titled: TitledRun) -> Html:
    profile = titled.run.layers
    if profile is None or not profile.layers:
        return Html()
    notes = tag("ul", *(tag("li", note) for note in profile.notes)) if profile.notes else Html()
    return join(
        (
            paragraph(_profile_sentence(profile)),
            notes,
            treemap(profile),
            _slowest(profile),
            _modules(by_module(profile)),
            folded("Sums by kind", _shares("All kinds", "kind", by_kind(profile))),
            folded("Sums by type", _shares("All types", "type", by_precision(profile))),
        )
    )


def _profile_sentence(profile: LayerProfile) -> str:
    profiled = f"{milliseconds(float(np.median(profile.whole_ms)))} with the profiler"
    if profile.bare_ms:
        profiled += f", {milliseconds(float(np.median(profile.bare_ms)))} without"
    return (
        f"{len(profile.layers)} layers as {profile.runtime} runs them, medians of "
        f"{len(profile.whole_ms)} runs; a run takes {profiled}."
    )


def _slowest(profile: LayerProfile) -> Html:
    ranked = rank_layers(profile)
    decimals = decimals_for(each.layer.median_ms for each in ranked)
    rows: list[list[str | Cell]] = [
        [
            join((f"{each.rank}. ", tag("code", each.layer.module, class_="option"))),
            number(each.layer.median_ms, decimals),
            percent(each.share),
            percent(each.cumulated),
            text_cell(each.layer.precision or ABSENT),
            text_cell(each.layer.kind or ABSENT),
            text_cell(_sources(each.layer)),
        ]
        for each in ranked
    ]
    texts = [text_cell(name) for name in ("type", "kind", "fused ONNX operators")]
    caption = f"The {min(TOP_LAYERS, len(rows))} slowest layers; shares of the sum of all layers"
    return table(caption, ("module", "ms", "share", "sum", *texts), rows)


def _sources(layer: LayerTime) -> str:
    """Return the operators that a layer was made of; its own name where that is unknown."""
    return " + ".join(node.rpartition("/")[2] for node in layer.nodes) or layer.name


def _modules(shares: Sequence[Share]) -> Html:
    shown = _shares("Sums by module, the largest first", "module", shares[:MODULES_SHOWN])
    rest = shares[MODULES_SHOWN:]
    if not rest:
        return shown
    return join((shown, folded(f"{len(rest)} more modules", _shares("Others", "module", rest))))


def _shares(caption: str, kind: str, shares: Sequence[Share]) -> Html:
    decimals = decimals_for(share.milliseconds for share in shares)
    rows = [
        (
            share.name,
            str(share.layers),
            number(share.milliseconds, decimals),
            percent(share.share),
        )
        for share in shares
    ]
    return table(caption, (kind, "layers", "ms", "share"), rows)
