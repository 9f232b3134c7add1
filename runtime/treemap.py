"""A profile as a picture: each layer an area as large as its time, by module, coloured by type.

The layout is that of squarified treemaps, whose tiles are as near to squares as the order by size
allows. Source: Bruls, Huizing, van Wijk, "Squarified Treemaps", VisSym 2000, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.html_charts import swatch
from runtime.html_parts import Html, join, tag
from runtime.layer_table import MODULE_DEPTH, by_precision, module_group, shorten
from runtime.layers import LayerProfile, LayerTime

# Belongs behind ``runtime.html_style.STYLE``, whose colours it uses.
STYLE = """
svg.treemap text { fill: var(--ground); font-size: 11px; }
.untyped { fill: var(--soft); }
svg.treemap text.group { fill: var(--ink); font-weight: 600; }
svg.treemap .tile:hover rect { stroke: var(--ink); stroke-width: 2; }
svg.treemap.tall { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; margin: 0.5rem 0;
  list-style: none; }
@media (max-width: 40rem) {
  svg.treemap.wide { display: none; }
  svg.treemap.tall { display: block; }
}
"""

# Width and height in the picture's own units: about a pixel each on a desktop and on a phone.
_WIDE, _TALL = (1040.0, 560.0), (370.0, 620.0)
_COLOURS = {
    "fp32": "hue0",
    "fp16": "hue3",
    "bf16": "hue6",
    "fp8": "hue4",
    "int8": "hue2",
}
_NO_COLOUR = "untyped"
# Layers below this share of the whole are too small to point at: those of a module and type become
# one tile.
_SMALL = 0.0015
# Of the fonts above in a wide typeface, so that a label that has no room is cut or left out.
_CHARACTER, _BOLD_CHARACTER, _LINE = 6.8, 7.8, 14.0
_GAP = 3.0  # between modules
_FEWEST_CHARACTERS = 6  # a shorter piece of a name says nothing


@dataclass(frozen=True)
class Rectangle:
    """An area; ``x`` and ``y`` are those of its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Tile:
    """One layer, or the small ones of a module together."""

    label: str
    title: str
    milliseconds: float
    precision: str


def squarify(sizes: Sequence[float], area: Rectangle) -> list[Rectangle]:
    """Divide an area in proportion to sizes.

    Args:
        sizes: Positive, the largest first.
        area: To be filled.

    Returns:
        One rectangle for each size, in their order.
    """
    if not sizes:
        return []
    scale = area.width * area.height / sum(sizes)
    areas = [size * scale for size in sizes]
    placed: list[Rectangle] = []
    while areas:
        side = min(area.width, area.height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(
            areas[:count], side
        ):
            count += 1
        row, area = _place_row(areas[:count], area)
        placed += row
        areas = areas[count:]
    return placed


def treemap(profile: LayerProfile, depth: int = MODULE_DEPTH) -> Html:
    """Return the picture with its legend; CSS shows the form that fits the screen.

    Args:
        profile: The layers.
        depth: Parts of a module's name that make a group; one less on a small screen.
    """
    # A small screen has room for fewer names.
    wide, tall = _groups(profile, depth), _groups(profile, max(1, depth - 1))
    pictures = (_picture(wide, _WIDE, "wide"), _picture(tall, _TALL, "tall"))
    return tag("figure", _legend(profile), *pictures)


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of sides in a row of areas along a side."""
    total = sum(row)
    return max(side**2 * row[0] / total**2, total**2 / (side**2 * row[-1]))


def _place_row(row: Sequence[float], area: Rectangle) -> tuple[list[Rectangle], Rectangle]:
    """Place a row along the shorter side; return its rectangles and what is left of the area."""
    total, (x, y) = sum(row), (area.x, area.y)
    placed = []
    if area.width >= area.height:
        width = total / area.height
        for each in row:
            placed.append(Rectangle(x, y, width, each / width))
            y += each / width
        return placed, Rectangle(area.x + width, area.y, area.width - width, area.height)
    height = total / area.width
    for each in row:
        placed.append(Rectangle(x, y, each / height, height))
        x += each / height
    return placed, Rectangle(area.x, area.y + height, area.width, area.height - height)


def _groups(profile: LayerProfile, depth: int) -> list[tuple[str, list[_Tile]]]:
    """Return modules and their tiles, the largest first in both."""
    layers: dict[str, list[LayerTime]] = {}
    for layer in profile.layers:
        if layer.median_ms > 0:
            layers.setdefault(module_group(layer.module, depth), []).append(layer)
    total = profile.layers_ms
    groups = [(name, _tiles(name, members, total)) for name, members in layers.items()]
    return sorted(groups, key=lambda group: -_sum(group[1]))


def _tiles(group: str, layers: Sequence[LayerTime], total: float) -> list[_Tile]:
    small: dict[str, list[LayerTime]] = {}
    tiles = []
    for layer in layers:
        if layer.median_ms < _SMALL * total:
            small.setdefault(layer.precision, []).append(layer)
        else:
            tiles.append(_tile(group, layer, total))
    for precision, members in small.items():
        milliseconds = sum(layer.median_ms for layer in members)
        label = f"{len(members)} small"
        title = f"{group}\n{label} layers {precision}\n{_time(milliseconds, total)}"
        tiles.append(_Tile(label, title, milliseconds, precision))
    return sorted(tiles, key=lambda tile: -tile.milliseconds)


def _tile(group: str, layer: LayerTime, total: float) -> _Tile:
    label = layer.module.removeprefix(group).strip(".") or layer.kind or layer.name
    kind = " ".join(filter(None, (layer.kind, layer.precision)))
    made_of = " + ".join(layer.nodes) or layer.name
    lines = (layer.module, _time(layer.median_ms, total), kind, made_of)
    title = "\n".join(filter(None, lines))
    return _Tile(label, title, layer.median_ms, layer.precision)


def _time(milliseconds: float, total: float) -> str:
    return f"{milliseconds:.3f} ms, {milliseconds / total:.1%}"


def _sum(tiles: Sequence[_Tile]) -> float:
    return sum(tile.milliseconds for tile in tiles)


def _picture(
    groups: Sequence[tuple[str, list[_Tile]]], size: tuple[float, float], shape: str
) -> Html:
    width, height = size
    areas = squarify([_sum(tiles) for _, tiles in groups], Rectangle(0, 0, width, height))
    content = (
        _draw_group(name, tiles, area) for (name, tiles), area in zip(groups, areas, strict=True)
    )
    return tag(
        "svg",
        *content,
        class_=f"treemap {shape}",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label="Layers: area is time, grouped by module, coloured by number type",
    )


def _draw_group(name: str, tiles: Sequence[_Tile], area: Rectangle) -> Html:
    """Draw a module: its name, where there is room, above its tiles."""
    inner = _shrink(area, _GAP)
    columns = int(inner.width / _BOLD_CHARACTER)
    has_room = inner.height > 3 * _LINE and columns >= min(_FEWEST_CHARACTERS, len(name))
    parts = []
    if has_room:
        parts.append(_text(shorten(name, columns), inner.x, inner.y + 10, "group"))
        inner = Rectangle(inner.x, inner.y + _LINE, inner.width, inner.height - _LINE)
    areas = squarify([tile.milliseconds for tile in tiles], inner)
    parts += [_draw_tile(tile, each) for tile, each in zip(tiles, areas, strict=True)]
    return tag("g", *parts)


def _draw_tile(tile: _Tile, area: Rectangle) -> Html:
    colour = _COLOURS.get(tile.precision, _NO_COLOUR)
    parts = [tag("title", tile.title), _rectangle(area, f"part {colour}")]
    columns = int((area.width - 4) / _CHARACTER)
    label = _fitting(tile.label, columns)
    if area.height >= _LINE and label:
        parts.append(_text(label, area.x + 3, area.y + 11))
        milliseconds = f"{tile.milliseconds:.2f} ms"
        if area.height >= 2 * _LINE and len(milliseconds) <= columns:
            parts.append(_text(milliseconds, area.x + 3, area.y + 11 + _LINE))
    return tag("g", *parts, class_="tile")


def _fitting(text: str, columns: int) -> str:
    """Return what of a text has room: of a module's name the end, since siblings begin alike."""
    if len(text) <= columns:
        return text
    is_cut = "." in text and columns >= _FEWEST_CHARACTERS
    return "…" + text[len(text) - columns + 1 :].lstrip(".") if is_cut else ""


def _shrink(area: Rectangle, gap: float) -> Rectangle:
    """Return an area without half a gap on every side; very thin ones keep what they have."""
    gap = min(gap, area.width / 4, area.height / 4)
    return Rectangle(area.x + gap / 2, area.y + gap / 2, area.width - gap, area.height - gap)


def _rectangle(area: Rectangle, kind: str) -> Html:
    return tag(
        "rect",
        x=f"{area.x:.1f}",
        y=f"{area.y:.1f}",
        width=f"{area.width:.1f}",
        height=f"{area.height:.1f}",
        class_=kind,
    )


def _text(content: str, x: float, y: float, kind: str = "") -> Html:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
    return tag("text", content, **place, class_=kind) if kind else tag("text", content, **place)


def _legend(profile: LayerProfile) -> Html:
    """Return the colours with the time that each stands for."""
    entries = []
    for share in by_precision(profile):
        colour = _COLOURS.get(share.name, _NO_COLOUR)
        name = "no arithmetic" if colour == _NO_COLOUR else share.name
        text = f"{name}: {share.milliseconds:.2f} ms, {share.share:.0%}"
        entries.append(tag("li", swatch(colour), text))
    return tag("ul", join(entries), class_="legend")
