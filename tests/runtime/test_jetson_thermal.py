"""Temperatures, and what holds clocks back."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.jetson_thermal import ThrottleWatch, find_zones
from tests.fakes.devices import plant_device


def test_zones_that_sleep_are_absent_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = find_zones(plant_device("agx-thor", tmp_path, monkeypatch))
    assert zones["gpu-thermal"].read() is None
    (tmp_path / "sys/class/thermal/thermal_zone1/temp").write_text("61250\n")
    assert zones["gpu-thermal"].read() == 61.25


def test_a_sensor_that_is_off_is_no_cold_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = find_zones(plant_device("agx-orin", tmp_path, monkeypatch))
    assert zones["cv0-thermal"].read() is None
    assert zones["tj-thermal"].read() == 47.5


def test_sensors_of_other_things_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = find_zones(plant_device("agx-xavier-jetpack4", tmp_path, monkeypatch))
    assert sorted(zones) == ["AO-therm", "AUX-therm", "CPU-therm", "GPU-therm"]


def test_only_what_takes_clocks_back_is_throttling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ThrottleWatch(plant_device("agx-orin", tmp_path, monkeypatch))
    assert watch.read() == ("gpu-throttle-alert",)  # and not the fan, at state 3
    state = tmp_path / "sys/class/thermal/cooling_device1/cur_state"
    state.write_text("0\n")
    assert watch.read() == ()
    state.write_text("garbage\n")
    assert watch.read() == ()


def test_a_clock_that_linux_caps_is_throttling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ThrottleWatch(plant_device("agx-thor", tmp_path, monkeypatch))
    (tmp_path / "sys/class/thermal/cooling_device12/cur_state").write_text("18\n")
    (tmp_path / "sys/class/thermal/cooling_device0/cur_state").write_text("1\n")
    assert watch.read() == ("cpufreq-cpu0", "devfreq-gpu-gpc-0")


def test_over_current_events_of_before_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ThrottleWatch(plant_device("orin-nano", tmp_path, monkeypatch))
    counter = tmp_path / "sys/class/hwmon/hwmon3/oc3_event_cnt"
    assert watch.read() == ()  # 4 since power-on
    counter.write_text("6\n")
    assert watch.read() == ("over-current 3",)
    assert watch.read() == ()  # told once


def test_a_counter_that_vanishes_or_starts_again_is_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ThrottleWatch(plant_device("orin-nano", tmp_path, monkeypatch))
    counter = tmp_path / "sys/class/hwmon/hwmon3/oc3_event_cnt"
    counter.unlink()
    assert watch.read() == ()
    counter.write_text("0\n")
    assert watch.read() == ()
    counter.write_text("1\n")
    assert watch.read() == ("over-current 3",)


def test_a_device_without_any_of_it_is_blind(tmp_path: Path) -> None:
    assert ThrottleWatch(tmp_path).is_blind
    assert ThrottleWatch(tmp_path).read() == ()
    assert find_zones(tmp_path) == {}
