"""The last sections: ratios, artifacts, machine, settings, and the command again."""

from __future__ import annotations

from runtime.measure_page_origin import artifacts, comparison, machine, reproduce, settings
from runtime.measure_page_parts import titled_runs
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD
from tests.measurements import comparison as ratio
from tests.measurements import measurement, run


def test_every_ratio_is_drawn_and_written():
    page = Page(comparison([ratio("b", "a", 0.5), ratio("c", "a", 2.0), ratio("d", "a", 1.0)]))
    assert page.tags.count("circle") == 3
    assert "b a p50 0.500 0.475 to 0.525 faster" in page.text
    kinds = page.values("td", "class")
    assert [k for k in kinds if k.startswith("text ")] == ["text better", "text worse", "text same"]
    assert not comparison([])


def test_a_ratio_without_an_interval():
    alone = ratio("b", "a", 0.5, low=None, high=None, verdict="no verdict: got 2 rounds")
    assert "0.500 no interval no verdict: got 2 rounds" in Page(comparison([alone])).text


def test_artifacts_have_their_facts_and_whole_digests():
    page = Page(artifacts(titled_runs([run("build/a.onnx", size_hw=(256, 320))])))
    assert "build/a.onnx cornernet-nano 256\u00d7320 INT8 onnxruntime 200" in page.text
    assert page.values("code", "title") == ["0123456789abcdef" * 4]


def test_the_machine_is_told_in_words():
    text = Page(
        machine({**measurement().machine, "memory_gib": None, "odd_fact": [1, AWKWARD]})
    ).text
    assert "CPU AMD EPYC" in text and "memory, GiB \u2013" in text
    assert "libraries numpy 2.4.0, onnxruntime 1.31.1" in text
    assert f"odd fact 1, {AWKWARD}" in text


def test_settings():
    text = Page(settings({"live_seconds": 5.0, "once": False, "soak": None})).text
    assert "live seconds 5.0 once no soak \u2013" in text
    assert not settings({})


def test_the_command_and_the_digests_can_be_copied():
    page = Page(reproduce(measurement(run("a.onnx"), run("b.onnx"))))
    assert "python runtime/measure.py a.onnx b.onnx" in page.text
    assert page.text.count("0123456789abcdef" * 4) == 2
