"""The treemap's layout, and what a browser finds in it."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from runtime.html_style import STYLE as PAGE_STYLE
from runtime.layers import LayerProfile
from runtime.treemap import STYLE, Rectangle, squarify, treemap
from tests.runtime.layer_profiles import SMALL, layer, profile_of

AREA = Rectangle(10.0, 20.0, 300.0, 200.0)


def overlap(one: Rectangle, other: Rectangle) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_areas_are_in_proportion_and_fill_the_whole_once(seed: int, count: int) -> None:
    sizes = sorted(np.random.default_rng(seed).pareto(1.0, count) + 0.01, reverse=True)
    placed = squarify(sizes, AREA)
    areas = [each.width * each.height for each in placed]
    np.testing.assert_allclose(areas, np.array(sizes) / sum(sizes) * 60_000)
    for each in placed:
        assert each.x >= 10 - 1e-6 and each.x + each.width <= 310 + 1e-6
        assert each.y >= 20 - 1e-6 and each.y + each.height <= 220 + 1e-6
    assert all(overlap(a, b) < 1e-6 for a, b in itertools.combinations(placed, 2))


def test_the_example_of_the_paper() -> None:
    """Bruls et al., figure 5: areas 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4."""
    placed = squarify([6, 6, 4, 3, 2, 2, 1], Rectangle(0, 0, 6, 4))
    expected = [
        (0, 0, 3, 2),
        (0, 2, 3, 2),
        (3, 0, 12 / 7, 7 / 3),
        (3 + 12 / 7, 0, 9 / 7, 7 / 3),
        (3, 7 / 3, 6 / 5, 5 / 3),
        (3 + 6 / 5, 7 / 3, 6 / 5, 5 / 3),
        (3 + 12 / 5, 7 / 3, 3 / 5, 5 / 3),
    ]
    got = [(each.x, each.y, each.width, each.height) for each in placed]
    np.testing.assert_allclose(got, expected)


def test_tiles_are_nearly_squares() -> None:
    placed = squarify([1.0] * 24, Rectangle(0, 0, 600, 400))
    assert max(max(r.width / r.height, r.height / r.width) for r in placed) < 1.6


def test_nothing_has_no_tiles() -> None:
    assert squarify([], AREA) == []


def pictures(profile: LayerProfile, depth: int = 2) -> dict[str, ET.Element]:
    """Return the two pictures by their class."""
    root = ET.fromstring(treemap(profile, depth))
    return {str(svg.get("class")): svg for svg in root.findall("svg")}


def titles(svg: ET.Element) -> list[list[str]]:
    return [(title.text or "").split("\n") for title in svg.iter("title")]


def test_every_layer_is_told_when_pointed_at() -> None:
    wide = pictures(SMALL)["treemap wide"]
    assert ["stem.0.conv", "4.000 ms, 40.0%", "Conv fp32", "stem.0.conv/Conv"] in titles(wide)
    assert ["(none)", "0.500 ms, 5.0%", "ReorderOutput fp32", "ReorderOutput"] in titles(wide)
    assert len(titles(wide)) == len(SMALL.layers)


def test_modules_are_named_and_phones_get_fewer() -> None:
    def groups(svg: ET.Element) -> set[str | None]:
        return {text.text for text in svg.iter("text") if text.get("class") == "group"}

    both = pictures(SMALL)
    assert {"stem.0", "hourglass.up1"} <= groups(both["treemap wide"])
    assert {"stem", "hourglass"} <= groups(both["treemap tall"])


def test_areas_follow_times_in_the_picture() -> None:
    svg = pictures(profile_of(layer("a.b/Conv", 3.0), layer("a.b/Relu", 1.0)))["treemap wide"]
    sizes = [float(r.get("width", 0)) * float(r.get("height", 0)) for r in svg.iter("rect")]
    assert sizes[0] / sizes[1] == pytest.approx(3.0, rel=0.01)


def test_types_have_colours_that_the_styles_define() -> None:
    profile = profile_of(
        *(
            layer(f"a.{kind}/Conv", 1.0, precision=kind)
            for kind in ("fp32", "fp16", "int8", "bf16")
        ),
        layer("a.fp8/Conv", 1.0, precision="fp8"),
        layer("decode/Mod", 1.0, precision=""),
    )
    used = {str(r.get("class")).split()[-1] for r in pictures(profile)["treemap wide"].iter("rect")}
    assert len(used) == 6
    for name in used:
        assert re.search(rf"\.{name} {{[^}}]*fill: var\(--", PAGE_STYLE + STYLE), name


def test_the_legend_sums_types() -> None:
    legend = ET.fromstring(treemap(SMALL)).find("ul")
    assert legend is not None
    assert ["".join(entry.itertext()) for entry in legend] == [
        "fp32: 5.25 ms, 52%",
        "int8: 4.50 ms, 45%",
        "no arithmetic: 0.25 ms, 2%",
    ]


def test_small_layers_are_one_tile_of_each_type() -> None:
    tiny = [layer(f"decode/Mul_{i}", 0.001) for i in range(5)]
    tiny += [layer(f"decode/Mod_{i}", 0.001, precision="") for i in range(3)]
    found = titles(pictures(profile_of(layer("a/Conv", 10.0), *tiny))["treemap wide"])
    assert ["decode", "5 small layers fp32", "0.005 ms, 0.0%"] in found
    assert ["decode", "3 small layers ", "0.003 ms, 0.0%"] in found
    assert len(found) == 3


def test_layers_without_time_and_empty_profiles() -> None:
    assert titles(pictures(profile_of(layer("a/X", 0.0), layer("b/X", 1.0)))["treemap wide"]) == [
        ["b", "1.000 ms, 100.0%", "Conv fp32", "b/X"]
    ]
    assert titles(pictures(profile_of())["treemap tall"]) == []


def test_names_are_text() -> None:
    awkward = layer("<b>&\"'/Conv", 1.0)
    assert titles(pictures(profile_of(awkward))["treemap wide"])[0][0] == "<b>&\"'"


@pytest.mark.parametrize("shape", ["treemap wide", "treemap tall"])
def test_labels_stay_within_their_tiles(shape: str) -> None:
    """In a narrow typeface already; a wide one has room for the same labels."""
    times = np.geomspace(3.0, 0.02, 60)
    layers = [layer(f"net.part{i % 7}.{i}.conv_long/Conv", t) for i, t in enumerate(times)]
    svg = pictures(profile_of(*layers))[shape]
    labels = 0
    for tile in (g for g in svg.iter("g") if g.get("class") == "tile"):
        rect = tile.find("rect")
        assert rect is not None
        for text in tile.findall("text"):
            labels += 1
            assert len(text.text or "") * 6.5 < float(rect.get("width", 0))
            assert float(text.get("y", 0)) < float(rect.get("y", 0)) + float(rect.get("height", 0))
    assert labels > 10
