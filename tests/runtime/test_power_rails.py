"""Which rails are the whole device."""

from __future__ import annotations

import pytest

from runtime.power_rails import add_total, find_total, total_name


@pytest.mark.parametrize(
    ("names", "total"),
    [
        (["VDD_SOC", "VDD_IN", "VDD_CPU_GPU_CV"], "VDD_IN"),
        (["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"], "VIN"),
        (["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"], "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0"),
        (
            ["VDDQ_VDD2_1V8AO", "VIN_SYS_5V0", "VDD_CPU_CV", "VDD_GPU_SOC"],
            "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
        ),
        (["VDD_GPU_SOC", "VDD_CPU_CV"], None),  # a rail is missing: no smaller total instead
        (["VDD_GPU"], None),
        ([], None),
    ],
)
def test_the_total_of_known_boards(names: list[str], total: str | None) -> None:
    assert total_name(find_total(names)) == total


def test_a_sum_stands_beside_its_rails() -> None:
    power = {"A": 1.0, "B": 2.0, "C": 40.0}
    add_total(power, ("A", "B"))
    assert power == {"A": 1.0, "B": 2.0, "C": 40.0, "A + B": 3.0}


def test_without_one_of_its_rails_there_is_no_sum() -> None:
    power = {"A": 1.0}
    add_total(power, ("A", "B"))
    assert power == {"A": 1.0}


def test_a_single_rail_and_no_rail_add_nothing() -> None:
    power = {"A": 1.0}
    add_total(power, ("A",))
    add_total(power, ())
    assert power == {"A": 1.0}
