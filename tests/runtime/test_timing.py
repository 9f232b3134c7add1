"""Figures per stage."""

from __future__ import annotations

import pytest

from runtime.timing import StageTimes


def test_percentiles_of_a_hundred_and_one_known_times() -> None:
    times = StageTimes()
    for milliseconds in range(101):
        times.record({"network": float(milliseconds)})
    summary = times.summary()["network"]
    assert (summary.p50_ms, summary.p95_ms, summary.p99_ms) == (50.0, 95.0, 99.0)
    assert summary.mean_ms == 50.0
    assert summary.count == 101


def test_memory_is_bounded_but_count_and_mean_are_of_all() -> None:
    times = StageTimes(window=10)
    for _ in range(90):
        times.record({"draw": 100.0})
    for _ in range(10):
        times.record({"draw": 0.0})
    summary = times.summary()["draw"]
    assert summary.count == 100
    assert summary.mean_ms == pytest.approx(90.0)
    assert summary.p99_ms == 0.0


def test_stages_keep_their_order_and_may_be_missing_from_a_frame() -> None:
    times = StageTimes()
    times.record({"capture": 1.0, "network": 2.0})
    times.record({"network": 4.0})
    assert list(times.summary()) == ["capture", "network"]
    assert times.summary()["network"].mean_ms == 3.0


def test_nothing_recorded_is_an_empty_summary() -> None:
    assert StageTimes().summary() == {}
