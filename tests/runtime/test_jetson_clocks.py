"""Clocks and loads of the known layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.jetson_clocks import find_clocks
from tests.fakes.devices import DEVICES, plant_device

EMC_FAULT = (
    "memory clock and load: no permission: /sys/kernel/debug/bpmp/debug/clk/emc/rate; "
    "run as root to have it"
)
THOR_FAULT = (
    "memory load: no permission: /sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity; "
    "run as root to have it"
)
NO_LOAD = "GPU load: the kernel has no file for it"


@pytest.mark.parametrize(
    ("device", "clocks_mhz", "loads", "missing"),
    [
        ("orin-nano", {"gpu": 612, "cpu0": 1267.2, "cpu4": 1728}, {"gpu": 0.62}, (EMC_FAULT,)),
        (
            "orin-nx",
            {"gpu": 612, "emc": 3199, "cpu0": 1267.2, "cpu4": 1728},
            {"gpu": 0.62, "emc": 0.2},
            (),
        ),
        (
            "agx-orin",
            {"gpu": 1300.5, "cpu0": 2201.6, "cpu4": 2201.6, "cpu8": 729.6},
            {"gpu": 0.998},
            (EMC_FAULT,),
        ),
        ("agx-thor", {"gpu": 1575, "emc": 4266, "cpu0": 972}, {}, (NO_LOAD, THOR_FAULT)),
        ("agx-xavier-jetpack4", {"gpu": 114.75, "cpu0": 1190.4}, {"gpu": 0.025}, (EMC_FAULT,)),
    ],
)
def test_what_known_devices_tell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    clocks_mhz: dict[str, float],
    loads: dict[str, float],
    missing: tuple[str, ...],
) -> None:
    clocks = find_clocks(plant_device(device, tmp_path, monkeypatch))
    read = {unit: gauge.read() for unit, gauge in clocks.clocks.items()}
    assert read == pytest.approx(clocks_mhz)
    assert clocks.read_loads(clocks_mhz) == pytest.approx(loads)
    assert clocks.missing == missing


def test_every_tree_is_tried() -> None:
    assert len(DEVICES) == 5


def test_a_load_beyond_all_is_no_reading_and_memory_is_never_more_than_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = find_clocks(plant_device("orin-nx", tmp_path, monkeypatch))
    (tmp_path / "sys/class/devfreq/17000000.gpu/device/load").write_text("1001\n")
    (tmp_path / "sys/kernel/debug/cactmon/mc_all").write_text("3300000\n")
    assert clocks.read_loads({"emc": 3199.0}) == {"emc": 1.0}


@pytest.mark.parametrize("clocks_mhz", [{}, {"emc": 0.0}])
def test_without_the_memorys_clock_there_is_no_load_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clocks_mhz: dict[str, float]
) -> None:
    clocks = find_clocks(plant_device("orin-nx", tmp_path, monkeypatch))
    assert clocks.read_loads(clocks_mhz) == {"gpu": 0.62}


def test_a_core_that_is_taken_off_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = find_clocks(plant_device("orin-nx", tmp_path, monkeypatch)).clocks
    (tmp_path / "sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq").unlink()
    assert clocks["cpu4"].read() is None


def test_a_system_without_any_says_so(tmp_path: Path) -> None:
    clocks = find_clocks(tmp_path)
    assert clocks.clocks == {}
    assert clocks.read_loads({}) == {}
    assert clocks.missing == (
        "GPU clock: no GPU in /sys/class/devfreq",
        NO_LOAD,
        "memory clock and load: not there: /sys/kernel/debug/bpmp/debug/clk/emc/rate",
    )
