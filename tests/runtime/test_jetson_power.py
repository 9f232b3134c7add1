"""Rails of the known layouts, and of what may come instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.jetson_power import find_rails, power_faults
from tests.fakes.devices import close_files, plant_device

CHIP = "sys/bus/i2c/devices/1-0040"
HWMON = f"{CHIP}/hwmon/hwmon1"


@pytest.mark.parametrize(
    ("device", "power_mw"),
    [
        ("orin-nano", {"VDD_IN": 6000.0, "VDD_CPU_GPU_CV": 1248.0, "VDD_SOC": 1497.6}),
        ("orin-nx", {"VDD_IN": 8250.0, "VDD_CPU_GPU_CV": 1248.0, "VDD_SOC": 1497.6}),
        (
            "agx-orin",
            {"VDD_GPU_SOC": 5e3, "VDD_CPU_CV": 2e3, "VIN_SYS_5V0": 4.5e3, "VDDQ_VDD2_1V8AO": 800},
        ),
        (
            "agx-thor",
            {"VDD_GPU": -392.0, "VDD_CPU_SOC_MSS": 3920.0, "VIN_SYS_5V0": 5060.0, "VIN": 28906.0},
        ),
        (
            "agx-xavier-jetpack4",
            {"GPU": 1155, "CPU": 385, "SOC": 2504, "CV": 0, "VDDRQ": 192, "SYS5V": 2692},
        ),
    ],
)
def test_the_rails_of_known_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, power_mw: dict[str, float]
) -> None:
    rails = find_rails(plant_device(device, tmp_path, monkeypatch))
    assert {rail.name: rail.read_mw() for rail in rails} == pytest.approx(power_mw)
    assert power_faults(tmp_path, rails) == []


def plant(root: Path, **files: str) -> None:
    for name, text in {"../../name": "ina3221", **files}.items():
        path = root / HWMON / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("value", ["", "garbage", "-1", "99999999999", "1e5"])
def test_a_voltage_that_cannot_be_is_no_power(tmp_path: Path, value: str) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VDD_IN", in1_input=value, curr1_input="1000")
    (rail,) = find_rails(tmp_path)
    assert rail.read_mw() is None


def test_a_power_that_cannot_be_is_none(tmp_path: Path) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VDD_IN", in1_input="20000", curr1_input="99000")  # 1980 W
    assert find_rails(tmp_path)[0].read_mw() is None
    plant(tmp_path, curr1_input="-101")  # -2.02 W
    assert find_rails(tmp_path)[0].read_mw() is None
    plant(tmp_path, curr1_input="-99")
    assert find_rails(tmp_path)[0].read_mw() == pytest.approx(-1980)


def test_a_channel_that_is_off_or_wired_to_nothing_is_no_rail(tmp_path: Path) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="NC", in2_label="VDD_SOC", in2_enable="0", in3_label="\n")
    assert find_rails(tmp_path) == ()


def test_the_label_of_an_ina238_may_be_its_channels(tmp_path: Path) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VIN", power1_input="150000000", **{"../../name": "ina238"})
    assert {rail.name: rail.read_mw() for rail in find_rails(tmp_path)} == {"VIN": 150e3}


def test_other_chips_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VDD_IN", **{"../../name": "tmp451"})
    assert find_rails(tmp_path) == ()


def test_no_sensor_is_said_with_what_a_container_needs(tmp_path: Path) -> None:
    (line,) = power_faults(tmp_path, ())
    assert line.startswith("power: no INA3221 or INA238 sensor in /sys/bus/i2c/devices")
    assert "-v /sys:/sys:ro" in line


def test_a_closed_file_is_named_with_the_command_that_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VDD_IN", in1_input="5000", curr1_input="1000")
    close_files(monkeypatch, tmp_path / HWMON / "curr1_input")
    rails = find_rails(tmp_path)
    assert rails[0].read_mw() is None
    (line,) = power_faults(tmp_path, rails)
    name = f"/{HWMON}/curr1_input"
    assert line == f"power of VDD_IN: no permission: {name}; sudo chmod a+r {name}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / HWMON).mkdir(parents=True)
    plant(tmp_path, in1_label="VDD_IN", in1_input="5000")
    (line,) = power_faults(tmp_path, find_rails(tmp_path))
    assert line == f"power of VDD_IN: not there: /{HWMON}/curr1_input"
