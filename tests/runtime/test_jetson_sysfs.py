"""A whole Jetson, read from its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.jetson_sysfs import JetsonMonitor, is_jetson
from tests.fakes.devices import DEVICES, plant_device


@pytest.mark.parametrize(
    ("device", "name", "mode", "rail", "total_mw"),
    [
        ("orin-nano", "Jetson Orin Nano", "25W", "VDD_IN", 6000),
        ("orin-nx", "Jetson Orin NX", "15W", "VDD_IN", 8250),
        (
            "agx-orin",
            "Jetson AGX Orin",
            "MODE_30W",
            "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
            11500,
        ),
        ("agx-thor", "Jetson AGX Thor", "120W", "VIN", 28906),
        (
            "agx-xavier-jetpack4",
            "Jetson-AGX",
            "MODE_15W",
            "GPU + CPU + SOC + CV + VDDRQ + SYS5V",
            6928,
        ),
    ],
)
def test_known_devices(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    name: str,
    mode: str,
    rail: str,
    total_mw: float,
) -> None:
    monitor = JetsonMonitor(plant_device(device, tmp_path, monkeypatch))
    assert monitor.name.startswith(name)
    assert monitor.name.endswith("(sysfs)")
    assert (monitor.power_mode, monitor.total_rail) == (mode, rail)
    sample = monitor.sample()
    assert sample.power_mw[rail] == pytest.approx(total_mw)
    assert max(sample.temperatures_c.values()) < 60
    assert sample.clocks_mhz["gpu"] > 100
    assert sample.energy_mj is None
    monitor.close()


@pytest.mark.parametrize("device", DEVICES)
def test_every_planted_tree_is_a_jetson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    assert is_jetson(plant_device(device, tmp_path, monkeypatch))
    (tmp_path / "etc/nv_tegra_release").unlink()  # as in a container
    assert is_jetson(tmp_path)
    shutil.rmtree(tmp_path / "proc")
    assert not is_jetson(tmp_path)


def test_a_rail_that_fails_takes_the_sum_with_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = JetsonMonitor(plant_device("agx-orin", tmp_path, monkeypatch))
    (tmp_path / "sys/bus/i2c/devices/1-0040/hwmon/hwmon3/curr2_input").write_text("busy")
    sample = monitor.sample()
    assert sorted(sample.power_mw) == ["VDDQ_VDD2_1V8AO", "VDD_GPU_SOC", "VIN_SYS_5V0"]
    assert sample.temperatures_c


def test_everything_may_vanish_under_a_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = JetsonMonitor(plant_device("orin-nano", tmp_path, monkeypatch))
    shutil.rmtree(tmp_path / "sys")
    sample = monitor.sample()
    assert (sample.power_mw, sample.temperatures_c, sample.clocks_mhz) == ({}, {}, {})
    assert (sample.loads, sample.throttled) == ({}, ())


def test_garbage_in_every_file_is_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = JetsonMonitor(plant_device("orin-nx", tmp_path, monkeypatch))
    for path in (tmp_path / "sys").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x00\xff-99999999999999999999")
    sample = monitor.sample()
    assert (sample.power_mw, sample.temperatures_c, sample.clocks_mhz) == ({}, {}, {})


def test_rails_that_are_no_known_total_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_device("orin-nano", tmp_path, monkeypatch)
    (tmp_path / "sys/bus/i2c/devices/1-0040/hwmon/hwmon1/in1_label").write_text("MY_RAIL\n")
    monitor = JetsonMonitor(tmp_path)
    assert monitor.total_rail is None
    rails = "MY_RAIL, VDD_CPU_GPU_CV, VDD_SOC"
    assert f"energy per frame: the rails {rails} are no known total" in monitor.missing


def test_a_bare_system_says_what_it_lacks(tmp_path: Path) -> None:
    monitor = JetsonMonitor(tmp_path)
    assert (monitor.name, monitor.power_mode) == ("Jetson (sysfs)", "")
    starts = ("power: ", "temperatures: ", "throttling: ", "GPU clock: ", "GPU load: ", "memory ")
    assert len(monitor.missing) == len(starts)
    for line, start in zip(monitor.missing, starts, strict=True):
        assert line.startswith(start)
    assert monitor.sample().power_mw == {}
