"""Temperatures of a Jetson, and what holds its clocks back, from the kernel's thermal files."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.sysfs_files import Gauge, find_paths, read_number, read_text

THERMAL = "sys/class/thermal"
HWMON = "sys/class/hwmon"
# A sensor that is off reads -256 degrees, or cannot be read at all.
LOWEST_C, HIGHEST_C = -55.0, 200.0
# A Jetson's sensors of other things than silicon that computes.
NOT_THERMAL = ("iwlwifi", "PMIC")
# Cooling devices that take clocks back when their state is above 0; a fan's state is no throttling.
# "gpu-throttle-alert" and "hot-surface-alert" are NVIDIA's, the others Linux's.
THROTTLES = re.compile(r".*-alert|(thermal-)?(cpufreq|devfreq)-.*")
# Events of the over-current protection: oc1_event_cnt and so on.
OVER_CURRENT = re.compile(r"oc(\d+)_event_cnt")


def find_zones(root: Path) -> dict[str, Gauge]:
    """Return a Jetson's temperatures in degrees Celsius by name of their zone."""
    zones: dict[str, Gauge] = {}
    for folder in find_paths(root / THERMAL, "thermal_zone*"):
        name = read_text(folder / "type") or ""
        if name and not name.startswith(NOT_THERMAL):
            zones.setdefault(name, Gauge(folder / "temp", 1e-3, LOWEST_C, HIGHEST_C))
    return zones


class ThrottleWatch:
    """Says what holds the clocks back at this moment.

    Over-current events are counted by the hardware: those of before the watch began are left out,
    such as the one that an inrush at power-on causes.

    Args:
        root: Of the file system.
    """

    def __init__(self, root: Path) -> None:
        self._coolers: dict[str, Path] = {}
        for folder in find_paths(root / THERMAL, "cooling_device*"):
            name = read_text(folder / "type") or ""
            if THROTTLES.fullmatch(name):
                self._coolers.setdefault(name, folder / "cur_state")
        self._counters: dict[str, Path] = {}
        for folder in find_paths(root / HWMON, "hwmon*"):
            for path in find_paths(folder, "oc*_event_cnt"):
                match = OVER_CURRENT.fullmatch(path.name)
                if match:
                    self._counters.setdefault(f"over-current {match[1]}", path)
        self._counts = {name: read_number(path) for name, path in self._counters.items()}

    @property
    def is_blind(self) -> bool:
        """Whether there is nothing to watch."""
        return not self._coolers and not self._counters

    def read(self) -> tuple[str, ...]:
        """Return what is active now, or has happened since the previous call."""
        active = [name for name, path in self._coolers.items() if (read_number(path) or 0) > 0]
        for name, path in self._counters.items():
            count, before = read_number(path), self._counts[name]
            if count is None:
                continue
            if before is not None and count > before:
                active.append(name)
            self._counts[name] = count
        return tuple(active)
