"""The checks of the system, on planted machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.doctor_system import (
    check_jetson,
    check_power,
    check_python,
    check_rails,
    check_systemd,
)
from runtime.findings import Verdict
from tests.fakes.devices import plant_device
from tests.fakes.machine import FakeMachine

RELEASE = "# R{} (release), REVISION: {}, GCID: 123, BOARD: generic, EABI: aarch64\n"


def jetson(root: Path, major: str = "36", minor: str = "4.3", power: str = "") -> FakeMachine:
    machine = FakeMachine(root, {"nvpmodel -q": power} if power else {})
    machine.add("/proc/device-tree/model", "NVIDIA Jetson Orin Nano\0")
    return machine.add("/etc/nv_tegra_release", RELEASE.format(major, minor))


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ((3, 10, 0), Verdict.OK),
        ((3, 13, 9), Verdict.OK),
        ((3, 9, 18), Verdict.MISSING),
        ((3, 14, 0), Verdict.MISSING),
    ],
)
def test_python(tmp_path: Path, version: tuple[int, ...], verdict: Verdict) -> None:
    machine = FakeMachine(tmp_path).add("/etc/os-release", 'ID=x\nPRETTY_NAME="Ubuntu 22.04"\n')
    (finding,) = check_python(machine, version)
    assert finding.verdict is verdict
    assert f"Python {'.'.join(map(str, version))} on Ubuntu 22.04, " in finding.text


def test_a_container_is_named(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    assert "container" not in check_python(machine)[0].text
    assert check_python(machine.add("/.dockerenv"))[0].text.endswith(", in a container")


@pytest.mark.parametrize(
    ("major", "minor", "jetpack"),
    [
        ("36", "4.0", "JetPack 6.1"),
        ("36", "4.3", "JetPack 6.2"),
        ("36", "4.7", "JetPack 6.2.1"),
        ("38", "2.1", "JetPack 7.0"),
        ("39", "2.0", "JetPack 7.2"),
        ("41", "1.0", "unknown JetPack"),
    ],
)
def test_a_jetson_is_named_with_its_jetpack(
    tmp_path: Path, major: str, minor: str, jetpack: str
) -> None:
    (finding,) = check_jetson(jetson(tmp_path, major, minor))
    assert finding.verdict is Verdict.OK
    assert finding.text == f"NVIDIA Jetson Orin Nano, L4T {major}.{minor} ({jetpack})"


@pytest.mark.parametrize(("major", "minor"), [("35", "4.1"), ("36", "3.0")])
def test_a_jetpack_that_is_too_old_is_missing_the_newer_one(
    tmp_path: Path, major: str, minor: str
) -> None:
    (finding,) = check_jetson(jetson(tmp_path, major, minor))
    assert finding.verdict is Verdict.MISSING
    assert "expected JetPack 6.1 or later" in finding.text


def test_another_machine_is_no_jetson(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    assert check_jetson(machine) == check_power(machine) == check_rails(machine) == []


@pytest.mark.parametrize(
    ("mode", "verdict", "remedy"),
    [
        ("MAXN", Verdict.OK, ""),
        ("MAXN_SUPER", Verdict.OK, ""),
        ("15W", Verdict.NOTE, "sudo nvpmodel -m 0"),
    ],
)
def test_the_power_mode(tmp_path: Path, mode: str, verdict: Verdict, remedy: str) -> None:
    (finding,) = check_power(jetson(tmp_path, power=f"NV Power Mode: {mode}\n0\n"))
    assert (finding.verdict, finding.remedy) == (verdict, remedy)
    assert finding.text == f"power mode {mode}"


def test_a_power_mode_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (finding,) = check_power(jetson(tmp_path))
    assert (finding.verdict, finding.remedy) == (Verdict.NOTE, "sudo nvpmodel -q")


@pytest.mark.parametrize(("lowest", "text"), [("729600", "is off"), ("1510400", "is on")])
def test_jetson_clocks_shows_in_the_processors_limits(
    tmp_path: Path, lowest: str, text: str
) -> None:
    machine = jetson(tmp_path, power="NV Power Mode: MAXN\n0")
    folder = "/sys/devices/system/cpu/cpu0/cpufreq"
    machine.add(f"{folder}/scaling_min_freq", lowest)
    machine.add(f"{folder}/scaling_max_freq", "1510400\n")
    finding = check_power(machine)[-1]
    assert finding.text == f"jetson_clocks {text}"
    assert finding.remedy == ("sudo jetson_clocks" if text == "is off" else "")


@pytest.mark.parametrize(
    ("device", "total"),
    [("orin-nano", "VDD_IN"), ("agx-orin", "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0")],
)
def test_the_rails_of_the_whole_device_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, total: str
) -> None:
    finding = check_rails(FakeMachine(plant_device(device, tmp_path, monkeypatch)))[-1]
    assert finding.verdict is Verdict.OK
    assert finding.text == f"power of the whole device: {total}"


def test_a_jetson_whose_rails_cannot_be_seen_is_told_what_helps(tmp_path: Path) -> None:
    (finding,) = check_rails(jetson(tmp_path))
    assert (finding.verdict, finding.needed_for) == (Verdict.NOTE, "energy per frame")
    assert "in a container, start it with -v /sys:/sys:ro" in finding.text


def test_systemd(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    assert check_systemd(machine)[0].verdict is Verdict.NOTE
    machine.path("/run/systemd/system").mkdir(parents=True)
    assert check_systemd(machine)[0].verdict is Verdict.OK
