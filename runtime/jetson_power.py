"""Power of a Jetson's rails, as its INA3221 and INA238 sensors tell it through the kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.power_rails import HIGHEST_MW, LOWEST_MW
from runtime.sysfs_files import Gauge, fault_of, find_paths, read_text

# One entry for every chip on an I2C bus, whatever its driver is called.
CHIPS = "sys/bus/i2c/devices"
CHIP_NAME = re.compile(r"ina\d{3,4}x?")
# What a channel that is wired to nothing, or adds up shunt voltages, is labelled.
NO_RAILS = frozenset({"", "NC", "sum of shunt voltages"})
HIGHEST_MV, HIGHEST_MA = 100e3, 100e3


@dataclass(frozen=True)
class Rail:
    """A supply with a sensor.

    Attributes:
        name: As the device tree labels it, such as "VDD_IN".
        gauges: Its power in milliwatts; or its voltage in volts and its current in milliamperes.
    """

    name: str
    gauges: tuple[Gauge, ...]

    def read_mw(self) -> float | None:
        """Return its power now; None if a file cannot be read or holds what cannot be."""
        product = 1.0
        for gauge in self.gauges:
            value = gauge.read()
            if value is None:
                return None
            product *= value
        return product if LOWEST_MW <= product <= HIGHEST_MW else None


def find_rails(root: Path) -> tuple[Rail, ...]:
    """Find all rails.

    Three layouts are known: hwmon with labelled channels (JetPack 5 and later), hwmon with one
    channel whose chip has the label (INA238), and the industrial I/O folder of JetPack 4.

    Args:
        root: Of the file system.

    Returns:
        Rails by address of their sensor; the first of several with one name.
    """
    rails: dict[str, Rail] = {}
    for chip in find_paths(root / CHIPS, "*"):
        if not CHIP_NAME.fullmatch((read_text(chip / "name") or "").lower()):
            continue
        for folder in find_paths(chip, "hwmon/hwmon*"):
            for rail in _hwmon_rails(folder):
                rails.setdefault(rail.name, rail)
        for folder in find_paths(chip, "iio:device*"):
            for rail in _iio_rails(folder):
                rails.setdefault(rail.name, rail)
    return tuple(rails.values())


def power_faults(root: Path, rails: Sequence[Rail]) -> list[str]:
    """Say which rails cannot be read and what would help, a line each.

    Args:
        root: Of the file system; left out of the names of files.
        rails: As found.
    """
    if not rails:
        return [
            f"power: no INA3221 or INA238 sensor in /{CHIPS}; expected one on a Jetson with "
            "NVIDIA's kernel; in a container, start it with -v /sys:/sys:ro"
        ]
    faults = []
    for rail in rails:
        for gauge in rail.gauges:
            fault = fault_of(gauge.path)
            if fault:
                name = f"/{gauge.path.relative_to(root)}"
                faults.append(f"power of {rail.name}: {fault}: {name}{_remedy(fault, name)}")
    return faults


def _hwmon_rails(folder: Path) -> list[Rail]:
    rails = []
    labels = list(find_paths(folder, "in*_label"))
    for label in labels:
        channel = label.name.removeprefix("in").removesuffix("_label")
        name = read_text(label) or ""
        if name not in NO_RAILS and read_text(folder / f"in{channel}_enable") != "0":
            rails.append(Rail(name, _hwmon_gauges(folder, channel)))
    name = read_text(folder / "label") or ""
    if not labels and name not in NO_RAILS:
        rails.append(Rail(name, _hwmon_gauges(folder, "1")))
    return rails


def _hwmon_gauges(folder: Path, channel: str) -> tuple[Gauge, ...]:
    power = folder / f"power{channel}_input"
    if fault_of(power) != "not there":
        return (Gauge(power, 1e-3, LOWEST_MW, HIGHEST_MW),)  # a file in microwatts
    return (
        Gauge(folder / f"in{channel}_input", 1e-3, 0.0, HIGHEST_MV * 1e-3),
        Gauge(folder / f"curr{channel}_input", 1.0, -HIGHEST_MA, HIGHEST_MA),
    )


def _iio_rails(folder: Path) -> list[Rail]:
    rails = []
    for label in find_paths(folder, "rail_name_*"):
        channel = label.name.removeprefix("rail_name_")
        name = read_text(label) or ""
        if name not in NO_RAILS:
            power = folder / f"in_power{channel}_input"
            rails.append(Rail(name, (Gauge(power, 1.0, LOWEST_MW, HIGHEST_MW),)))
    return rails


def _remedy(fault: str, name: str) -> str:
    return f"; sudo chmod a+r {name}" if fault == "no permission" else ""
