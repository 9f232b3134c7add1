"""Rates and times that one thread records and others read."""

from __future__ import annotations

import threading

import pytest

from runtime.source_state import SourceState
from runtime.stream_status import (
    CameraStatus,
    RateMeter,
    SharedTimes,
    StreamStatus,
    StreamSummary,
)


def test_a_steady_rate() -> None:
    meter = RateMeter()
    for number in range(100):
        meter.tick(number / 30)
    assert meter.per_second(99 / 30) == pytest.approx(30)
    assert meter.per_second(99.9 / 30) == pytest.approx(30), "the next is not due yet"


def test_a_rate_falls_when_nothing_comes_any_more() -> None:
    meter = RateMeter(over_s=5.0)
    for number in range(31):
        meter.tick(number / 30)
    rates = [meter.per_second(1.0 + later) for later in (0.0, 1.0, 3.0, 5.5)]
    assert rates[0] == pytest.approx(30)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0


@pytest.mark.parametrize("events", [0, 1])
def test_too_few_events_have_no_rate(events: int) -> None:
    meter = RateMeter()
    for _ in range(events):
        meter.tick(1.0)
    assert meter.per_second(1.0) == 0.0


def test_a_change_of_rate_shows_within_the_window() -> None:
    meter = RateMeter(over_s=2.0)
    for number in range(300):
        meter.tick(number / 30)
    for number in range(30):
        meter.tick(10 + number / 10)
    assert meter.per_second(12.9) == pytest.approx(10, rel=0.05)


def test_two_events_at_once_are_no_division_by_zero() -> None:
    meter = RateMeter()
    meter.tick(1.0)
    meter.tick(1.0)
    assert meter.per_second(1.0) == 0.0


def test_times_can_be_read_while_they_are_recorded() -> None:
    times, done = SharedTimes(), threading.Event()

    def record() -> None:
        for number in range(3000):
            times.record({"network": float(number)})
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    while not done.is_set():
        times.summary()
    thread.join(5)
    assert times.summary()["network"].count == 3000


def test_a_stream_of_no_time_has_no_rate() -> None:
    assert StreamSummary(0, 0, 0, 0.0, {}, (), ()).frames_per_second == 0.0
    assert StreamSummary(50, 0, 0, 2.0, {}, (), ()).frames_per_second == 25.0


def test_a_summary_adds_up_what_cameras_did() -> None:
    cameras = (
        CameraStatus("a", SourceState.ENDED, captured=9, dropped=2, results=7, detections=5),
        CameraStatus("b", SourceState.ENDED, captured=3, dropped=0, results=3, detections=4),
    )
    status = StreamStatus("tiny", "fp32", "x", 0.3, 2.0, cameras, (), {})
    summary = StreamSummary.of(status)
    assert (summary.frames, summary.dropped, summary.detections) == (10, 2, 9)
    assert summary.frames_per_second == 5.0
    assert summary.cameras == cameras
