"""Where a network's time goes: its slowest layers, and sums by module, kind and number type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.layers import LayerProfile, LayerTime

# Parts of a module's name that make a group: "hourglass.up1" of "hourglass.up1.0.conv2".
MODULE_DEPTH = 2
TOP_LAYERS = 20
# Modules of the graph that are no part of the network proper.
DECODE, NORMALISE = "decode", "normalise"
# Longer names are cut in the middle: both ends tell most.
_NAME_COLUMNS = 34


@dataclass(frozen=True)
class RankedLayer:
    """A layer among the slowest.

    Attributes:
        rank: 1 for the slowest.
        layer: The layer.
        share: Of the sum of all layers, 0 to 1.
        cumulated: Share of this one and all slower ones.
    """

    rank: int
    layer: LayerTime
    share: float
    cumulated: float


@dataclass(frozen=True)
class Share:
    """Layers that have something in common.

    Attributes:
        name: What it is.
        layers: How many there are.
        milliseconds: Sum of their medians.
        share: Of the sum of all layers, 0 to 1.
    """

    name: str
    layers: int
    milliseconds: float
    share: float


def rank_layers(profile: LayerProfile, count: int = TOP_LAYERS) -> tuple[RankedLayer, ...]:
    """Return the slowest layers by median, the slowest first."""
    total = profile.layers_ms or 1.0
    slowest = sorted(profile.layers, key=lambda layer: -layer.median_ms)[:count]
    cumulated = np.cumsum([layer.median_ms for layer in slowest]) / total
    return tuple(
        RankedLayer(rank, layer, layer.median_ms / total, float(so_far))
        for rank, (layer, so_far) in enumerate(zip(slowest, cumulated, strict=True), start=1)
    )


def by_module(profile: LayerProfile, depth: int = MODULE_DEPTH) -> tuple[Share, ...]:
    """Sum layers by the first parts of their modules' names, the largest sum first.

    Args:
        profile: The layers.
        depth: How many parts, at least one; 1 gives "hourglass", 2 "hourglass.up1".
    """
    return _shares(profile, lambda layer: module_group(layer.module, depth))


def by_kind(profile: LayerProfile) -> tuple[Share, ...]:
    """Sum layers by kind, the largest sum first."""
    return _shares(profile, lambda layer: layer.kind or "(not told)")


def by_precision(profile: LayerProfile) -> tuple[Share, ...]:
    """Sum layers by number type, the largest sum first."""
    return _shares(profile, lambda layer: layer.precision or "(none)")


def module_share(profile: LayerProfile, module: str) -> Share:
    """Return the share of one module with all that is in it, such as ``DECODE``; 0 if it has none.

    A profiler makes a run longer: what the module takes in an ordinary run is nearer to the share
    times the run's time than to ``milliseconds``.
    """
    inside = [
        layer
        for layer in profile.layers
        if layer.module == module or layer.module.startswith(f"{module}.")
    ]
    return _share(module, inside, profile.layers_ms)


def module_group(module: str, depth: int = MODULE_DEPTH) -> str:
    """Return the first parts of a module's name."""
    return ".".join(module.split(".")[:depth])


def layer_table(profile: LayerProfile, count: int = TOP_LAYERS) -> list[str]:
    """Return the slowest layers as lines of text, the column titles first."""
    columns = f"{'type':5} {'kind':18} {'module':{_NAME_COLUMNS}} operators"
    lines = [f"{'':>3} {'ms':>8} {'share':>6} {'sum':>6}  {columns}"]
    for each in rank_layers(profile, count):
        layer = each.layer
        nodes = " + ".join(node.partition("/")[2] for node in layer.nodes) or layer.name
        lines.append(
            f"{each.rank:3d} {layer.median_ms:8.3f} {each.share:6.1%} {each.cumulated:6.1%}  "
            f"{layer.precision or '-':5} {shorten(layer.kind or '-', 18):18} "
            f"{shorten(layer.module, _NAME_COLUMNS):{_NAME_COLUMNS}} {nodes}"
        )
    return lines


def share_table(title: str, shares: Sequence[Share], count: int = TOP_LAYERS) -> list[str]:
    """Return sums as lines of text, the column titles first; the smallest as one line."""
    lines = [f"{'ms':>8} {'share':>6} {'layers':>6}  {title}"]
    for each in _fold(shares, count):
        lines.append(f"{each.milliseconds:8.3f} {each.share:6.1%} {each.layers:6d}  {each.name}")
    return lines


def profile_text(profile: LayerProfile) -> list[str]:
    """Return the whole profile as lines of text."""
    decode, normalise = (module_share(profile, name) for name in (DECODE, NORMALISE))
    lines = [
        f"{len(profile.layers)} layers, {profile.runtime}, medians of {len(profile.whole_ms)} runs",
        f"{np.median(profile.whole_ms):8.3f} ms  a run with the profiler",
        f"{profile.layers_ms:8.3f} ms  all layers",
        f"{decode.milliseconds:8.3f} ms  of these in decode ({decode.share:.1%})",
        f"{normalise.milliseconds:8.3f} ms  of these in normalise ({normalise.share:.1%})",
    ]
    if profile.bare_ms:
        lines.insert(1, f"{np.median(profile.bare_ms):8.3f} ms  a run without the profiler")
    return [
        *lines,
        *(f"note: {note}" for note in profile.notes),
        "",
        *layer_table(profile),
        "",
        *share_table("module", by_module(profile)),
        "",
        *share_table("kind", by_kind(profile)),
        "",
        *share_table("type", by_precision(profile)),
    ]


def shorten(text: str, columns: int) -> str:
    """Return a text of at most some columns; of a longer one both ends."""
    if len(text) <= columns:
        return text
    end = columns // 2
    return f"{text[: columns - end - 1]}…{text[len(text) - end :]}"


def _shares(profile: LayerProfile, key: Callable[[LayerTime], str]) -> tuple[Share, ...]:
    groups: dict[str, list[LayerTime]] = {}
    for layer in profile.layers:
        groups.setdefault(key(layer), []).append(layer)
    total = profile.layers_ms
    shares = [_share(name, layers, total) for name, layers in groups.items()]
    return tuple(sorted(shares, key=lambda share: -share.milliseconds))


def _share(name: str, layers: Sequence[LayerTime], total_ms: float) -> Share:
    milliseconds = sum(layer.median_ms for layer in layers)
    return Share(name, len(layers), milliseconds, milliseconds / (total_ms or 1.0))


def _fold(shares: Sequence[Share], count: int) -> list[Share]:
    """Return the first shares, and one that holds all others."""
    rest = shares[count:]
    if not rest:
        return list(shares)
    others = Share(
        f"({len(rest)} others)",
        sum(each.layers for each in rest),
        sum(each.milliseconds for each in rest),
        sum(each.share for each in rest),
    )
    return [*shares[:count], others]
