"""The page's first section: the figures that people ask for first."""

from __future__ import annotations

import pytest

from runtime.measure_page_parts import titled_runs
from runtime.measure_page_summary import UNQUIET, frames_per_second, in_short, verdict_sentence
from tests.calibration.pages import Page
from tests.measurements import comparison, device, journey, least_run, live, run


def text_of(*runs, comparisons=()):
    return Page(in_short(titled_runs(runs), comparisons)).text


def test_one_artifact_is_told_in_cards():
    measured = run(journey=journey({"network": 8.0, "draw": 11.0}, bare_ms=8.0))
    text = text_of(measured)
    whole, bare = measured.journey.end_to_end, measured.journey.bare
    assert f"End to end {whole.p50_ms:.1f} ms p99 {whole.p99_ms:.1f} ms" in text
    assert f"Bare network {bare.p50_ms:.2f} ms" in text
    assert f"The gap {whole.p50_ms - bare.p50_ms:.1f} ms" in text
    assert "Frames per second 52.5 one after the other" in text
    assert frames_per_second(measured) == pytest.approx(1000 / 19.05)
    assert "Energy of a frame 122 mJ" in text or "Energy of a frame 123 mJ" in text


def test_what_is_not_known_is_not_said():
    text = text_of(least_run())
    for absent in ("Energy", "camera", "new process", "clocks", "None"):
        assert absent not in text


def test_the_live_run_tells_age_and_dropped_pictures():
    assert "10 of 300 pictures gave way to newer ones" in text_of(run())
    assert "no picture was dropped" in text_of(run(live=live(dropped=0)))


def test_throttling_is_a_warning():
    assert "The device held its clocks back: gpu-throttle-alert." in text_of(run())
    assert "held its clocks back" not in text_of(run(device=device(throttled=())))
    two = text_of(run("a.onnx"), run("b.onnx", device=None))
    assert "held its clocks back while a.onnx ran" in two


def test_a_bare_network_slower_than_whole_frames_is_called_what_it_is():
    assert UNQUIET in text_of(run(journey=journey(bare_ms=30.0)))
    assert UNQUIET not in text_of(run())


def test_several_artifacts_are_told_in_a_table_and_verdicts():
    verdicts = [comparison("b.onnx", "a.onnx", 0.5, figure=f) for f in ("p50", "network p90")]
    page = Page(in_short(titled_runs([run("a.onnx"), run("b.onnx")]), verdicts))
    assert page.tags.count("table") == 1 and page.tags.count("tr") == 3
    assert "b.onnx is faster than a.onnx: p50, ratio 0.500" in page.text
    assert page.text.count("is faster") == 1  # what is beside the point is said further below


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ratio": 2.0}, "a is slower than b: p50, ratio 2.00, 95 % interval 1.90 to 2.10."),
        (
            {"ratio": 1.0, "figure": "p99"},
            "a against b, p99: no difference shown; ratio 1.00, 95 % interval 0.950 to 1.05.",
        ),
        (
            {"ratio": 0.5, "low": None, "high": None, "verdict": "no verdict: got 2 rounds"},
            "a against b, p50: no verdict: got 2 rounds; ratio 0.500, no interval.",
        ),
    ],
)
def test_a_verdict_says_what_it_rests_on(changes, sentence):
    assert verdict_sentence(comparison("a", "b", **changes)) == sentence


def test_a_single_artifact_against_an_earlier_file():
    text = text_of(run("a.onnx"), comparisons=[comparison("a.onnx", "before.json", 1.5)])
    assert "a.onnx is slower than before.json" in text
