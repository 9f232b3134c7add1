"""The measurement page as a whole: complete, sound, and without what was not measured."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runtime.measure_page import page
from runtime.measurement_file import read_measurement, write_measurement
from tests.calibration.pages import Page, check_self_contained
from tests.calibration.report_sets import AWKWARD
from tests.fakes.chromium import PHONE, Chromium, Screen, find_chromium
from tests.measurements import comparison, least_run, measurement, run

ALL = [
    *("summary", "stages", "distribution", "throughput", "cold-start", "memory", "layers"),
    *("device", "comparison", "artifacts", "machine", "settings", "reproduce"),
]
LEAST = ["summary", "stages", "distribution", "artifacts", "machine", "reproduce"]


def chapters_of(parsed: Page) -> list[str]:
    return [key.removeprefix("#") for key in parsed.values("a", "href")]


def sections_of(parsed: Page) -> list[str]:
    return [key for key in parsed.ids if not key.endswith("-title")]


def test_a_page_with_everything_has_every_chapter_in_its_order():
    parsed = check_self_contained(page(measurement(run("a.onnx"), run("b.onnx"))))
    assert chapters_of(parsed) == sections_of(parsed) == ALL
    assert "Latency of 2 artifacts" in parsed.text


def test_what_was_not_measured_is_neither_on_the_page_nor_in_its_navigation():
    parsed = check_self_contained(page(measurement(least_run(), settings={})))
    assert chapters_of(parsed) == sections_of(parsed) == LEAST
    for absent in ("Warm-up", "of which decode", "live", "None", " nan "):
        assert absent not in parsed.text


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *(("throughput", "throughput"), ("cold_start", "cold-start"), ("memory", "memory")),
        *(("layers", "layers"), ("device", "device")),
    ],
)
def test_each_part_is_left_out_alone(name, key):
    nothing = () if name == "throughput" else None
    parsed = check_self_contained(page(measurement(run(**{name: nothing}))))
    assert sections_of(parsed) == [k for k in ALL if k not in (key, "comparison")]
    assert chapters_of(parsed) == sections_of(parsed)


def test_of_several_runs_each_shows_what_it_has():
    parsed = check_self_contained(page(measurement(run("a.onnx"), least_run("b.onnx"))))
    assert chapters_of(parsed) == ALL
    assert parsed.text.count("Memory of this process") == 1


def test_names_from_users_are_text_everywhere():
    named = f"build/{AWKWARD}.onnx"
    awkward = run(named, model=AWKWARD, precision=AWKWARD, backend=AWKWARD)
    told = measurement(awkward, command=f"measure {AWKWARD}", settings={AWKWARD: AWKWARD})
    other = comparison(named, f"{AWKWARD}.json", verdict=f"no verdict: {AWKWARD}")
    markup = page(replace(told, comparisons=(other,)))
    parsed = check_self_contained(markup)
    assert AWKWARD not in markup and "b" not in parsed.tags
    assert f"measure {AWKWARD}" in parsed.text


def test_every_chart_is_described_or_repeats_what_stands_beside_it():
    charts = re.findall("<svg[^>]*>", page(measurement(run("a.onnx"), run("b.onnx"))))
    described = [chart for chart in charts if re.search('role="img" aria-label="[^"]+"', chart)]
    beside = [chart for chart in charts if "aria-hidden" in chart or "swatch" in chart]
    assert len(described) > 20 and len(described) + len(beside) == len(charts)


def test_comparisons_name_artifacts_as_the_rest_of_the_page_does():
    measured = measurement(run("build/a.onnx"), run("build/b.onnx"))
    earlier = comparison("build/b.onnx", "build/before.json")
    text = Page(page(replace(measured, comparisons=(*measured.comparisons, earlier)))).text
    assert "b.onnx is slower than a.onnx: p50" in text
    assert "b.onnx is faster than build/before.json: p50" in text


def test_a_measurement_that_was_written_and_read_gives_the_same_page(tmp_path):
    path = tmp_path / "measured.json"
    write_measurement(measurement(), path)
    assert page(read_measurement(path)) == page(measurement())


def test_the_pages_style_holds_every_class_that_charts_use():
    markup = page(measurement(run("a.onnx"), run("b.onnx")))
    style = markup.split("<style>")[1].split("</style>", maxsplit=1)[0]
    used = {
        name
        for kind in re.findall(r'<(?:rect|line|g)[^>]* class="([^"]*)"', markup)
        for name in kind.split()
    }
    assert used and all(f".{name}" in style for name in used)
    assert ' style="' not in markup  # the page's own policy would ignore it


def test_the_title_and_the_lead_say_what_was_measured_when_and_on_what():
    parsed = Page(page(measurement(run(size_hw=(256, 320)))))
    assert "Latency: cornernet-nano at 256\u00d7320, INT8" in parsed.text
    assert (
        "200 frames through all stages with onnxruntime, measured 2026-11-22 10:00 UTC on AMD EPYC"
        in parsed.text
    )


@pytest.mark.parametrize(
    ("started", "text"),
    [
        ("2026-11-22T23:59:31+05:30", "2026-11-22 23:59 +0530"),
        ("2026-11-22T08:00:00", "2026-11-22 08:00 on"),
    ],
)
def test_the_time_keeps_its_zone(started, text):
    assert f"measured {text}" in Page(page(measurement(started=started))).text


def test_a_measurement_of_nothing_is_refused():
    empty = replace(measurement(), runs=())
    with pytest.raises(ValueError, match="no artifact"):
        page(empty)


def test_the_same_measurement_gives_the_same_page():
    assert page(measurement()) == page(measurement())


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium")
@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
def test_a_browser_shows_the_page_without_complaint_and_without_scrolling_sideways(
    tmp_path, is_phone
):
    program = find_chromium()
    assert program is not None
    path = tmp_path / "page.html"
    path.write_text(page(measurement(run("a.onnx"), run("b.onnx"))), encoding="utf-8")
    screen = Screen(PHONE, is_phone=True) if is_phone else Screen()
    with Chromium(program) as browser:
        browser.open(path.as_uri(), screen)
        browser.wait_for("document.readyState === 'complete' && document.querySelector('footer')")
        width = browser.evaluate("document.documentElement.scrollWidth")
        assert width <= screen.size[0]
        assert browser.evaluate("getComputedStyle(document.querySelector('.part')).strokeWidth")
        assert browser.console == []
