"""Sums and tables of a profile."""

from __future__ import annotations

import pytest

from runtime.layer_table import (
    Share,
    by_kind,
    by_module,
    by_precision,
    layer_table,
    module_group,
    module_share,
    profile_text,
    rank_layers,
    share_table,
    shorten,
)
from tests.runtime.layer_profiles import SMALL, layer, profile_of


def sums(shares: tuple[Share, ...]) -> list[tuple[str, int, float]]:
    return [(each.name, each.layers, each.milliseconds) for each in shares]


def test_the_slowest_layers_come_first_and_their_shares_add_up() -> None:
    ranked = rank_layers(SMALL, 3)
    assert [(each.rank, each.layer.median_ms) for each in ranked] == [(1, 4.0), (2, 3.0), (3, 1.0)]
    assert [each.share for each in ranked] == pytest.approx([0.4, 0.3, 0.1])
    assert [each.cumulated for each in ranked] == pytest.approx([0.4, 0.7, 0.8])
    assert rank_layers(SMALL, 99)[-1].cumulated == pytest.approx(1.0)


def test_sums_by_module_at_any_depth() -> None:
    assert sums(by_module(SMALL)) == [
        ("stem.0", 1, 4.0),
        ("hourglass.up1", 2, 4.0),
        ("decode", 2, 1.0),
        ("hourglass.low1", 1, 0.5),
        ("(none)", 1, 0.5),
    ]
    assert sums(by_module(SMALL, 1))[:2] == [("hourglass", 3, 4.5), ("stem", 1, 4.0)]
    assert by_module(SMALL, 9)[0].name == "stem.0.conv"


def test_sums_by_kind_and_type() -> None:
    assert sums(by_kind(SMALL))[:2] == [("Conv", 1, 4.0), ("QLinearConv", 2, 4.0)]
    assert sums(by_precision(SMALL)) == [("fp32", 3, 5.25), ("int8", 3, 4.5), ("(none)", 1, 0.25)]
    assert by_kind(profile_of(layer("x", 1.0, kind="")))[0].name == "(not told)"


@pytest.mark.parametrize("sums_of", [by_module, by_kind, by_precision])
def test_every_layer_is_in_one_sum(sums_of) -> None:
    shares = sums_of(SMALL)
    assert sum(each.layers for each in shares) == len(SMALL.layers)
    assert sum(each.share for each in shares) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("module", "layers", "share"),
    [("decode", 2, 0.1), ("hourglass", 3, 0.45), ("hourglass.up", 0, 0.0), ("normalise", 0, 0.0)],
)
def test_the_share_of_a_module(module: str, layers: int, share: float) -> None:
    found = module_share(SMALL, module)
    assert (found.layers, found.share) == (layers, pytest.approx(share))


def test_layers_that_take_no_time_have_no_share() -> None:
    silent = profile_of(layer("decode/Mod", 0.0))
    assert module_share(silent, "decode").share == rank_layers(silent)[0].cumulated == 0.0


def test_a_line_for_each_layer() -> None:
    title, first, *_ = layer_table(SMALL, 2)
    assert title.split() == ["ms", "share", "sum", "type", "kind", "module", "operators"]
    assert first.split() == ["1", "4.000", "40.0%", "40.0%", "fp32", "Conv", "stem.0.conv", "Conv"]
    assert len(layer_table(SMALL, 2)) == 3


def test_a_layer_of_no_node_has_its_own_name() -> None:
    assert layer_table(profile_of(layer("ReorderOutput_3", 1.0)))[1].endswith(" ReorderOutput_3")


def test_columns_stand_below_their_titles() -> None:
    long = layer("a" * 90 + "/Conv", 1.0, kind="k" * 40)
    title, line = layer_table(profile_of(long))
    assert line[title.index("module") :].startswith("aaa")
    assert line[title.index("operators") :] == "Conv"


def test_small_sums_are_one_line() -> None:
    lines = share_table("module", by_module(SMALL), 3)
    assert lines[0].split() == ["ms", "share", "layers", "module"]
    assert lines[-1].split() == ["1.000", "10.0%", "2", "(2", "others)"]
    assert len(lines) == 5
    assert len(share_table("module", by_module(SMALL), 5)) == 6


def test_the_whole_text_has_all_figures_and_notes() -> None:
    text = "\n".join(profile_text(profile_of(*SMALL.layers, notes=("this is an estimate",))))
    for line in (
        "7 layers, onnxruntime 1.0, medians of 1 runs",
        "11.000 ms  a run without the profiler",
        "12.000 ms  a run with the profiler",
        "10.000 ms  all layers",
        "1.000 ms  of these in decode (10.0%)",
        "0.000 ms  of these in normalise (0.0%)",
        "note: this is an estimate",
    ):
        assert line in text


def test_names_are_cut_to_columns() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcdefgh", 5) == "ab…gh"
    assert len(shorten("x" * 50, 44)) == 44
    assert module_group("a.b.c") == "a.b" and module_group("(none)") == "(none)"
