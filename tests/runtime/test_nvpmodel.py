"""Power modes as NVIDIA's program writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.nvpmodel import PowerMode, parse_current, parse_modes, power_mode_name

CONFIGURATION = """\
< PARAM TYPE=FILE NAME=CPU_ONLINE >
# < POWER_MODEL ID=7 NAME=OLD >
< POWER_MODEL ID=2 NAME=MODE_30W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=0 NAME=MAXN >
< PM_CONFIG DEFAULT=2 >
"""
LISTING = """\
NVPM VERB: PM_CONFIG: DEFAULT=MODE_15W(2)
NVPM VERB: PARAM TYPE=FILE NAME=CPU_ONLINE
NVPM VERB: POWER_MODEL: ID=0 NAME=MAXN
NVPM VERB: CPU_ONLINE CORE_0 1
NVPM VERB: POWER_MODEL: ID=1 NAME=MODE_10W
"""


def test_modes_of_a_configuration_in_order_of_their_numbers() -> None:
    assert parse_modes(CONFIGURATION) == (PowerMode(0, "MAXN"), PowerMode(2, "MODE_30W"))


def test_modes_of_the_programs_listing() -> None:
    assert parse_modes(LISTING) == (PowerMode(0, "MAXN"), PowerMode(1, "MODE_10W"))


def test_text_without_modes_has_none() -> None:
    assert parse_modes("POWER_MODEL ID=x NAME=\nsh: nvpmodel: not found") == ()


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN_SUPER\n2", PowerMode(2, "MAXN_SUPER")),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n0\n", PowerMode(0, "15W")),
        ("NV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2", PowerMode(2, "MODE_15W_6CORE")),
        ("NV Power Mode: 15W", None),
        ("NVPM ERROR: failed to read status", None),
        ("", None),
    ],
)
def test_the_mode_that_a_query_names(text: str, mode: PowerMode | None) -> None:
    assert parse_current(text) == mode


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("pmode:0002", "MODE_30W"),
        ("pmode:0000 fmode:quiet", "MAXN"),
        ("pmode:0005", "mode 5"),
        ("fmode:quiet", ""),
        ("", ""),
    ],
)
def test_the_current_name_comes_from_the_files(tmp_path: Path, status: str, name: str) -> None:
    for path, text in [("var/lib/nvpmodel/status", status), ("etc/nvpmodel.conf", CONFIGURATION)]:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    assert power_mode_name(tmp_path) == name


def test_without_a_status_there_is_no_name(tmp_path: Path) -> None:
    assert power_mode_name(tmp_path) == ""


def test_a_mode_says_its_number_which_differs_between_devices() -> None:
    assert str(PowerMode(2, "MODE_30W")) == "MODE_30W (mode 2)"
