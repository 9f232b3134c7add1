"""Power modes of a Jetson as NVIDIA's ``nvpmodel`` keeps, lists and names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from runtime.sysfs_files import read_text

STATUS = "var/lib/nvpmodel/status"  # "pmode:0002" and, on some, "fmode:quiet"
CONFIGURATION = "etc/nvpmodel.conf"
# "< POWER_MODEL ID=0 NAME=MAXN >" of the configuration, "POWER_MODEL: ID=0 NAME=MAXN" of -p.
MODE = re.compile(r"^[^#\n]*\bPOWER_MODEL:? +ID=(\d{1,4}) +NAME=([^\s>]+)", re.MULTILINE)
# What ``nvpmodel -q`` prints: the name, and the number on a line of its own.
CURRENT = re.compile(r"NV Power Mode: *(\S+)\s+(\d{1,4})\s*(?:\n|$)")


@dataclass(frozen=True)
class PowerMode:
    """A set of limits: cores that are on, highest clocks.

    Attributes:
        number: Its ID, which differs between modules and versions of JetPack.
        name: Such as "15W", "MODE_30W" or "MAXN_SUPER".
    """

    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (mode {self.number})"


def parse_modes(text: str) -> tuple[PowerMode, ...]:
    """Return the modes that a configuration, or the output of ``nvpmodel -p``, defines."""
    modes = {int(match[1]): PowerMode(int(match[1]), match[2]) for match in MODE.finditer(text)}
    return tuple(modes[number] for number in sorted(modes))


def parse_current(text: str) -> PowerMode | None:
    """Return the mode that ``nvpmodel -q`` names; None if it names none."""
    match = CURRENT.search(text)
    return PowerMode(int(match[2]), match[1]) if match else None


def power_mode_name(root: Path) -> str:
    """Return the current mode's name from the files, without running a program.

    Args:
        root: Of the file system.

    Returns:
        Such as "15W"; "mode 3" if the configuration does not define it; "" without a status.
    """
    status = re.search(r"\bpmode:(\d{1,4})\b", read_text(root / STATUS) or "")
    if status is None:
        return ""
    number = int(status[1])
    modes = parse_modes(read_text(root / CONFIGURATION) or "")
    return next((mode.name for mode in modes if mode.number == number), f"mode {number}")
