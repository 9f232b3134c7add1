"""Sections on times: complete tables, tails kept, warm-up apart."""

from __future__ import annotations

from runtime.measure_page_parts import titled_runs
from runtime.measure_page_times import cold_start, distribution, throughput
from runtime.measurement import ColdStart
from tests.calibration.pages import Page
from tests.measurements import STAGE_MEANS_MS, journey, least_run, run, throughputs


def test_every_stage_has_its_percentiles_and_its_histogram():
    section = distribution(titled_runs([run()]))
    page = Page(section)
    for stage in ("end to end", "bare network", *STAGE_MEANS_MS):
        assert stage in page.text
    assert page.values("svg", "class").count("fluid") == 2 + len(STAGE_MEANS_MS)
    longest = run().journey.end_to_end.max_ms
    assert f"{longest:.2f}" in page.text


def test_the_histogram_is_also_in_numbers_and_counts_every_frame():
    page = Page(distribution(titled_runs([least_run()])))
    rows = page.text.split("Frames by end-to-end time ms frames ")[1].split(" Each stage")[0]
    counts = [int(count) for count in rows.split()[3::4]]
    assert sum(counts) == 200


def test_warm_up_frames_are_shown_apart():
    page = Page(distribution(titled_runs([run()])))
    assert "The first 5 frames count nowhere else on this page." in page.text
    assert "1 48.00" in page.text
    assert "Warm-up" not in Page(distribution(titled_runs([least_run()]))).text


def test_few_frames_come_with_a_warning_about_p99():
    few = least_run(journey=journey(frames=40))
    assert "Of fewer than 100, p99 says little" in Page(distribution(titled_runs([few]))).text
    assert "p99 says little" not in Page(distribution(titled_runs([run()]))).text


def test_throughput_by_batch():
    page = Page(throughput(titled_runs([run(throughput=throughputs(8.0, (1, 4)))])))
    one, four = throughputs(8.0, (1, 4))
    assert f"4 {four.frames_per_second:.1f}" in page.text
    assert (
        f"{four.latency.p50_ms / 4:.3f}" in page.text
        and f"{one.frames_per_second:.1f}" in page.text
    )
    assert page.values("svg", "class") == ["bar plain"] * 2
    assert page.values("rect", "width")[1] == "100.0%"


def test_the_cold_start_adds_up():
    page = Page(cold_start(titled_runs([run(cold_start=ColdStart(300.0, 150.0, 50.0))])))
    assert "Python and libraries 300.0 60.0 %" in page.text
    assert "to the first result 500.0 100 %" in page.text
    assert page.values("rect", "width") == ["60.00%", "30.00%", "10.00%"]


def test_nothing_measured_gives_nothing():
    runs = titled_runs([least_run()])
    assert not throughput(runs) and not cold_start(runs)
