"""The section on layers: the slowest, their sources, and sums."""

from __future__ import annotations

from dataclasses import replace

from runtime.layers import LayerProfile
from runtime.measure_page_layers import MODULES_SHOWN, layers
from runtime.measure_page_parts import titled_runs
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD
from tests.measurements import layer_profile, least_run, run


def section_of(profile: LayerProfile) -> str:
    return layers(titled_runs([run(layers=profile)]))


def test_the_slowest_layers_are_listed_with_what_was_fused_into_them():
    page = Page(section_of(layer_profile()))
    assert "The 20 slowest layers" in page.text
    assert page.text.count("Conv + Relu") == 19  # the slowest has no node: its own name is shown
    assert "fused_0" in page.text
    first, second = page.text.index("1. "), page.text.index("2. ")
    assert first < second


def test_shares_add_up_to_what_is_written_beside_them():
    profile = layer_profile()
    two = replace(
        profile,
        layers=(
            replace(profile.layers[1], times_ms=(3.0,)),
            replace(profile.layers[2], times_ms=(1.0,)),
        ),
    )
    text = Page(section_of(two)).text
    assert "3.000 75.0 % 75.0 %" in text and "1.000 25.0 % 100 %" in text


def test_a_treemap_and_the_sums_are_there():
    page = Page(section_of(layer_profile()))
    assert any("treemap" in kind for kind in page.values("svg", "class"))
    for caption in ("Sums by module", "Sums by kind", "Sums by type"):
        assert caption in page.text


def test_many_modules_are_folded():
    profile = layer_profile()
    many = tuple(
        replace(layer, nodes=(f"m{index}.part/Conv",)) for index, layer in enumerate(profile.layers)
    )
    text = Page(section_of(replace(profile, layers=many))).text
    assert f"{len(many) - MODULES_SHOWN} more modules" in text
    assert "more modules" not in Page(section_of(profile)).text


def test_the_profilers_cost_and_its_notes_are_told():
    profile = replace(
        layer_profile(), whole_ms=(9.0,), bare_ms=(7.0,), notes=(f"a note {AWKWARD}",)
    )
    text = Page(section_of(profile)).text
    assert "a run takes 9.00 ms with the profiler, 7.00 ms without" in text
    assert f"a note {AWKWARD}" in text


def test_no_profile_no_section():
    assert not layers(titled_runs([least_run()]))
    assert not layers(titled_runs([run(layers=LayerProfile("x", (), (1.0,)))]))
