"""Sections on memory and the device: what it told, what it did not, and how it drifted."""

from __future__ import annotations

from runtime.measure_page_device import device as device_section
from runtime.measure_page_device import memory
from runtime.measure_page_parts import titled_runs
from runtime.measurement import Memory, ThrottlePeriod
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD
from tests.measurements import device, least_run, run, soak_windows


def page_of(**changes):
    return Page(device_section(titled_runs([run(device=device(**changes))])))


def test_power_temperatures_clocks_and_loads_are_told_with_units():
    text = page_of().text
    for figure in ("VDD_IN 9.80 W", "whole device 122 mJ", "tj-thermal 64.2", "emc 2 133"):
        assert figure.replace("2 133", "2\u202f133") in text or figure in text
    assert "gpu 83.0 %" in text and "Jetson Orin Nano (sysfs), power mode 15W." in text


def test_throttling_is_told_with_its_times():
    periods = (ThrottlePeriod("hot", 61.0, 125.4),)
    text = page_of(throttle_periods=periods).text
    assert "Clocks were held back: gpu-throttle-alert." in text
    assert "hot 1:01 2:05" in text


def test_drift_is_drawn_and_written():
    page = page_of()
    assert page.values("svg", "aria-label")[0].startswith("Latency over the run")
    assert "p99 rose by" in page.text and "Shaded: the 2 in which" in page.text
    assert "The run in windows" in page.text and "5:00 100" in page.text
    falling = tuple(reversed([w for w in soak_windows(4, 99)]))
    falling = tuple(type(w)(60.0 * i, w.end_to_end, None, None, ()) for i, w in enumerate(falling))
    text = page_of(windows=falling).text
    assert "Shaded" not in text and "None" not in text


def test_one_window_is_a_table_without_a_line():
    page = page_of(windows=soak_windows(1, 9))
    assert "svg" not in page.tags and "The run in windows" in page.text


def test_a_device_that_tells_little_leaves_no_empty_table():
    little = {"power_mw": {}, "temperatures_c": {}, "clocks_mhz": {}, "loads": {}}
    page = page_of(
        **little, energy_mj_per_frame=None, throttled=(), windows=(), missing=(), power_mode=""
    )
    assert "table" not in page.tags and page.text == "Device Jetson Orin Nano (sysfs)."


def test_what_could_not_be_read_is_listed():
    assert f"Not read: {AWKWARD}" in page_of(missing=(AWKWARD,)).text


def test_memory_of_the_process_and_of_a_gpu():
    mib = 2**20
    without = Page(
        memory(titled_runs([run(memory=Memory(90 * mib, 130 * mib, 142 * mib, None, None))]))
    )
    assert "artifact open 130.0 MiB" in without.text and "GPU, taken" not in without.text
    with_gpu = Memory(90 * mib, 130 * mib, 142 * mib, 500 * mib, 20 * mib)
    text = Page(memory(titled_runs([run(memory=with_gpu)]))).text
    assert "by opening the artifact 500.0 MiB" in text and "measured 20.0 MiB" in text


def test_nothing_measured_gives_nothing():
    runs = titled_runs([least_run()])
    assert not memory(runs) and not device_section(runs)
