"""Where every millisecond goes: the bars and the table tell the same."""

from __future__ import annotations

import re

import pytest

from runtime.html_charts import HUES, REST_HUE
from runtime.measure_gap import BETWEEN, NETWORK
from runtime.measure_page_parts import titled_runs
from runtime.measure_page_stages import HUE_BY_STAGE, gap_table, where_time_goes
from runtime.spans import STAGES
from tests.calibration.pages import Page
from tests.measurements import STAGE_MEANS_MS, journey, least_run, live, run


def section_of(*runs):
    return where_time_goes(titled_runs(runs))


def test_every_stage_has_a_colour_of_its_own():
    assert set(HUE_BY_STAGE) == {*STAGES, BETWEEN}
    assert sorted(HUE_BY_STAGE.values()) == list(range(HUES))
    assert HUE_BY_STAGE[NETWORK] == 0 and HUE_BY_STAGE[BETWEEN] == REST_HUE


def test_the_table_goes_line_by_line_with_signs():
    text = Page(gap_table(run())).text
    assert re.search(r"bare network 7\.50 70\.4 %", text)
    assert "of which decode, in the network \u2013 \u2013 1.20 \u2013" in text  # of the median
    assert "network, beyond bare +0.50 4.7 %" in text
    assert "end to end 10.65 100 %" in text
    assert "draw and publish (beside) \u22120.90" in text
    assert "waiting, at a camera's pace +6.25" in text
    assert "live: capture to result 16.00" in text


def test_what_costs_less_than_nothing_has_a_minus():
    text = Page(gap_table(run(journey=journey(bare_ms=9.0), live=live(8.0)))).text
    assert "network, beyond bare \u22121.00" in text
    assert "waiting, at a camera's pace \u22121.75" in text


def test_the_bars_are_the_means_of_all_stages():
    section = section_of(least_run())
    titles = re.findall(r"<title>([^:]+): ([\d.]+)", section)
    assert titles[0] == (NETWORK, "7.50")  # the bare network
    stages = {name: float(value) for name, value in titles[1:]}
    assert stages == pytest.approx({**STAGE_MEANS_MS, BETWEEN: 0.05})


def test_pictures_of_several_artifacts_share_an_axis():
    fast = least_run("a.onnx", journey=journey({"network": 4.0}, bare_ms=4.0))
    slow = least_run("b.onnx", journey=journey({"network": 8.0}, bare_ms=8.0))
    page = Page(section_of(fast, slow))
    widths = [float(w.removesuffix("%")) for w in page.values("rect", "width") if w != "100%"]
    assert max(widths) == pytest.approx(100 * 8 / 8.05, abs=0.1)
    assert widths[0] == pytest.approx(100 * 4 / 8.05, abs=0.1)


def test_the_largest_come_with_advice_and_commands_as_code():
    section = section_of(run())
    assert '<code class="option">--camera-size</code>' in section
    text = Page(section).text
    assert "What to do about the largest bare network , 7.50 ms, 70.4 % of a frame:" in text
    assert "`" not in text
    # Waiting is beside a frame's time, not a share of it.
    assert "waiting, at a camera's pace , 6.25 ms: " in text
