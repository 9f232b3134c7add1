"""Lines of every format, and lines that are none."""

from __future__ import annotations

import random
import re

import pytest

from runtime.device_samples import DeviceSample
from runtime.tegrastats import parse_line
from tests.fakes.devices import tegrastats_lines

XAVIER, ORIN_NANO, AGX_ORIN, THOR, THOR_AT_REST = tegrastats_lines()


def test_jetpack_4_has_neither_units_nor_clocks() -> None:
    sample = parse_line(XAVIER, 7)
    assert sample.at_ns == 7
    rails = {"GPU": 1155, "CPU": 385, "SOC": 2504, "CV": 0, "VDDRQ": 192, "SYS5V": 2692}
    assert sample.power_mw == {**rails, "GPU + CPU + SOC + CV + VDDRQ + SYS5V": 6928}
    assert sample.temperatures_c["thermal"] == 27.45
    assert "PMIC" not in sample.temperatures_c
    assert sample.clocks_mhz == {"cpu0": 2265, "cpu1": 2265}
    assert sample.loads == {"gpu": 0.37, "emc": 0.0}


def test_jetpack_5_without_root_has_no_memory_clock() -> None:
    sample = parse_line(ORIN_NANO, 0)
    assert sample.power_mw == {"VDD_IN": 4541, "VDD_CPU_GPU_CV": 521, "VDD_SOC": 1446}
    assert sample.temperatures_c["tj"] == 50
    assert "CV0" not in sample.temperatures_c  # -256: it sleeps
    assert sample.clocks_mhz["gpu"] == 611
    assert "emc" not in sample.clocks_mhz
    assert "cpu1" not in sample.clocks_mhz  # off
    assert sample.clocks_mhz["cpu2"] == 729
    assert sample.loads == {"gpu": 0.62}


def test_jetpack_6_has_a_clock_for_each_part_of_the_gpu() -> None:
    sample = parse_line(AGX_ORIN, 0)
    assert sample.clocks_mhz == {"gpu": 408, "emc": 2133, "cpu0": 2201, "cpu1": 2201, "cpu2": 729}
    assert sample.power_mw["VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"] == 3150 + 14312 + 4968
    assert sample.loads == {"gpu": 0.14, "emc": 0.01}


def test_jetpack_7_has_three_figures_and_a_second_temperature() -> None:
    sample = parse_line(THOR, 0)
    assert sample.power_mw["VIN"] == 124486
    assert sample.power_mw["VDD_GPU"] == 37939
    assert sample.temperatures_c["gpu"] == 56.937
    assert sample.clocks_mhz["gpu"] == 1574
    assert sample.loads == {"gpu": 0.87, "emc": 0.34}
    assert sorted(sample.clocks_mhz) == ["cpu0", "cpu1", "cpu3", "emc", "gpu"]


def test_a_device_at_rest_tells_no_loads_and_one_clock_for_all() -> None:
    sample = parse_line(THOR_AT_REST, 0)
    assert sample.loads == {}
    assert sample.clocks_mhz == {"cpu0": 972, "cpu1": 972, "emc": 4266, "gpu": 1574}
    assert sample.power_mw["VDD_GPU"] == -392
    assert sample.power_mw["VIN"] == 15004


def test_memory_is_no_power() -> None:
    assert (
        parse_line("RAM 1483/7620MB IRAM 0/252kB SWAP 1/2MB (cached 0MB) APE 174", 0).power_mw == {}
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("GR3D_FREQ 101%@612", "loads"),
        ("EMC_FREQ x%@3199", "clocks_mhz"),
        ("GR3D_FREQ 5%@999999", "clocks_mhz"),
        ("VDD_IN -5000mW/1mW", "power_mw"),
        ("VDD_IN 99999999mW/1mW", "power_mw"),
        ("VDD_IN 9999999999999999mW/1mW", "power_mw"),
        ("VDD_IN 5000uW/1uW", "power_mw"),
        ("VDD_IN 5000mW", "power_mw"),  # is it power now, or its mean?
        ("gpu@999C", "temperatures_c"),
        ("gpu@C", "temperatures_c"),
        ("CPU [garbage,,%@,1%@]", "clocks_mhz"),
        ("CPU [1%@12", "clocks_mhz"),
        ("", "power_mw"),
    ],
)
def test_what_cannot_be_is_left_out(line: str, what: str) -> None:
    assert getattr(parse_line(line, 0), what) in ({}, ())


def test_unknown_fields_anywhere_change_nothing() -> None:
    choices = random.Random(0)
    for line in tegrastats_lines():
        words = line.split(" ")
        places = [i for i, word in enumerate(words) if re.match(r"\w+@[\d.]+C", word)]
        words.insert(choices.choice(places), "NEW_UNIT 5%@[1,2]{3}")
        assert parse_line(" ".join(["?!", *words, "7/8/9"]), 0) == parse_line(line, 0)


def test_a_line_cut_anywhere_never_raises_and_tells_nothing_wrong() -> None:
    whole = parse_line(THOR, 0)
    for end in range(len(THOR)):
        part = parse_line(THOR[:end], 0)
        assert set(part.temperatures_c) <= set(whole.temperatures_c) | {"cpu"}
        assert set(part.power_mw) <= {*whole.power_mw, "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0"}


def test_a_line_without_an_end_is_read_in_no_time() -> None:
    for piece in ("A", "1", "@", "gpu@1C ", "VDD_IN 1mW/", "CPU [", "GR3D_FREQ @[1,"):
        assert isinstance(parse_line(piece * 200_000, 0), DeviceSample)
