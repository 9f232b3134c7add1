"""Drift and throttling beside frames, with figures that can be checked by head."""

from __future__ import annotations

import math

import pytest

from runtime.device_summary import summarise_device, throttle_periods
from runtime.measurement import ThrottlePeriod
from tests.fakes.device_monitor import FakeMonitor, frame_at, frames_of, sample_at

SECOND = 1_000_000_000


def test_a_device_is_described_over_the_frames_that_count() -> None:
    samples = [
        sample_at(0, 90_000, temperatures_c={"tj": 99.0}, throttled=("over-current 1",)),
        sample_at(1, 4000, temperatures_c={"tj": 50.0, "cpu": 40.0}, clocks_mhz={"gpu": 600.0}),
        sample_at(2, 6000, temperatures_c={"tj": 55.0}, loads={"gpu": 0.5}, throttled=("hot",)),
        sample_at(3, 5000, clocks_mhz={"gpu": 800.0}),
    ]
    frames = [frame_at(0, 0.9, 0, warmup=True), *frames_of(20, 100, 1.0)]
    device = summarise_device(FakeMonitor(samples), samples, frames)
    assert (device.name, device.power_mode) == ("Fake Jetson", "15W")
    assert device.power_mw == {"VDD_IN": 5000}
    assert device.temperatures_c == {"tj": 55.0, "cpu": 40.0}
    assert (device.clocks_mhz, device.loads) == ({"gpu": 700.0}, {"gpu": 0.5})
    assert device.throttled == ("hot",)
    assert device.throttle_periods == (ThrottlePeriod("hot", 1.0, 1.0),)
    assert device.missing == ("memory load: not there",)
    assert device.energy_mj_per_frame == pytest.approx((5000 + 5500) / 20)
    assert len(device.windows) == 1


@pytest.mark.parametrize(("rail", "lines"), [("VDD_IN", 2), (None, 1)])
def test_energy_that_cannot_be_told_is_said_where_there_is_power(
    rail: str | None, lines: int
) -> None:
    samples = [sample_at(t, 5000) for t in range(5)]
    turns = [*frames_of(2, 100, 1.0), *frames_of(2, 100, 3.0)]
    device = summarise_device(FakeMonitor(samples, rail), samples, turns)
    assert device.energy_mj_per_frame is None
    assert len(device.missing) == lines
    assert rail is None or device.missing[-1].startswith("energy per frame: 2 samples in 2 turns")


def test_windows_show_drift_and_where_it_came_from() -> None:
    samples = [
        sample_at(
            t,
            5000 if t < 10 else 10_000,
            temperatures_c={"tj": 50.0 + t, "cpu": 45.0},
            throttled=("gpu-throttle-alert",) if t >= 15 else (),
        )
        for t in range(26)
    ]
    frames = [*frames_of(100, 100), *frames_of(75, 200, 10.0)]  # 10 s, then 15 s at half the speed
    windows = summarise_device(FakeMonitor(samples), samples, frames, window_s=5).windows
    assert [window.started_s for window in windows] == pytest.approx([0, 5, 10, 15, 20])
    p99s = [window.end_to_end.p99_ms for window in windows]
    assert p99s == pytest.approx([100, 100, 200, 200, 200])
    assert [window.hottest_c for window in windows] == [55, 60, 65, 70, 75]
    assert [bool(window.throttled) for window in windows] == [False, False, True, True, True]
    energies = [window.energy_mj_per_frame for window in windows]
    assert energies[0] == pytest.approx(500)
    assert energies[-1] == pytest.approx(2000)


@pytest.mark.parametrize(
    ("seconds", "counts"), [(4, [40]), (12, [50, 70]), (13, [50, 50, 30]), (1, [10])]
)
def test_a_rest_of_less_than_half_a_window_belongs_to_the_last(
    seconds: int, counts: list[int]
) -> None:
    samples = [sample_at(t, 1000) for t in range(seconds + 1)]
    frames = frames_of(10 * seconds, 100)
    windows = summarise_device(FakeMonitor(samples), samples, frames, window_s=5).windows
    assert [window.end_to_end.count for window in windows] == counts


@pytest.mark.parametrize(("seconds", "count"), [(9, 1), (25, 2), (600, 60), (3600, 60)])
def test_windows_are_as_many_as_a_table_can_show(seconds: int, count: int) -> None:
    samples = [sample_at(0, 1000), sample_at(seconds, 1000)]
    frames = frames_of(2 * seconds, 500)
    assert len(summarise_device(FakeMonitor(samples), samples, frames).windows) == count


def test_a_window_without_frames_is_left_out() -> None:
    samples = [sample_at(t, 1000) for t in range(20)]
    frames = [*frames_of(10, 100), *frames_of(10, 100, 16.0)]
    windows = summarise_device(FakeMonitor(samples), samples, frames, window_s=5).windows
    assert [window.started_s for window in windows] == [0, 16]


def test_a_run_shorter_than_a_sample_has_the_nearest() -> None:
    samples = [sample_at(0, 1000), sample_at(1, 2000), sample_at(2, 9000)]
    frames = frames_of(3, 10, 1.1)
    device = summarise_device(FakeMonitor(samples), samples, frames)
    assert device.power_mw == {"VDD_IN": 2000}
    assert device.energy_mj_per_frame == pytest.approx(27.8, abs=0.5)  # 2805 mW over 10 ms


def test_a_device_that_tells_nothing_has_no_figures() -> None:
    samples = [sample_at(t) for t in range(4)]
    device = summarise_device(FakeMonitor(samples, None), samples, frames_of(20, 100))
    assert (device.power_mw, device.energy_mj_per_frame) == ({}, None)
    assert (device.windows[0].hottest_c, device.windows[0].energy_mj_per_frame) == (None, None)
    assert not math.isnan(device.windows[0].end_to_end.p99_ms)
    assert summarise_device(FakeMonitor(samples), [], frames_of(2, 10)).power_mw == {}


def test_no_frame_that_counts_is_refused() -> None:
    monitor = FakeMonitor([sample_at(0)])
    with pytest.raises(ValueError, match="got no frames that count; expected at least one"):
        summarise_device(monitor, [], [frame_at(0, 1, warmup=True)])


def test_periods_of_throttling_have_their_times_and_come_in_order() -> None:
    marks = {0: (), 1: ("b",), 2: ("b", "a"), 3: ("a",), 4: (), 5: ("b",)}
    samples = [sample_at(10 + at, throttled=reasons) for at, reasons in marks.items()]
    assert throttle_periods(samples, 10 * SECOND) == (
        ThrottlePeriod("b", 1, 2),
        ThrottlePeriod("a", 2, 3),
        ThrottlePeriod("b", 5, 5),
    )
    assert throttle_periods([], 0) == ()
