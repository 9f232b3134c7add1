"""A Jetson's power, temperatures, clocks and throttling, read from the files of its kernel."""

from __future__ import annotations

import time
from pathlib import Path

from runtime.device_samples import DeviceSample
from runtime.jetson_clocks import find_clocks
from runtime.jetson_power import find_rails, power_faults
from runtime.jetson_thermal import ThrottleWatch, find_zones
from runtime.nvpmodel import power_mode_name
from runtime.power_rails import add_total, find_total, total_name
from runtime.sysfs_files import Gauge, read_text

RELEASE = "etc/nv_tegra_release"
MODEL = "proc/device-tree/model"
COMPATIBLE = "proc/device-tree/compatible"


def is_jetson(root: Path) -> bool:
    """Say whether a file system is a Jetson's; the release file is not seen in a container.

    Args:
        root: Of the file system.
    """
    return bool(read_text(root / RELEASE)) or "nvidia,tegra" in (read_text(root / COMPATIBLE) or "")


class JetsonMonitor:
    """Reads a Jetson through its kernel's files; see ``DeviceMonitor``.

    What there is to read is found once: open it anew after a change of the power mode, which takes
    cores off. A sample takes some milliseconds on a device, most of them waiting for the power
    sensors, about 0.5 ms for each value (I2C).

    Args:
        root: Of the file system.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        model = read_text(root / MODEL) or "Jetson"
        self.name = f"{model.removeprefix('NVIDIA ')} (sysfs)"
        self.power_mode = power_mode_name(root)
        self._rails = find_rails(root)
        self._zones = find_zones(root)
        self._clocks = find_clocks(root)
        self._throttles = ThrottleWatch(root)
        self._total = find_total(rail.name for rail in self._rails)
        self.total_rail = total_name(self._total)
        self.missing = (*power_faults(root, self._rails), *self._gaps(), *self._clocks.missing)

    def sample(self) -> DeviceSample:
        """Read everything now; what fails is absent."""
        at_ns = time.perf_counter_ns()
        power = {}
        for rail in self._rails:
            milliwatts = rail.read_mw()
            if milliwatts is not None:
                power[rail.name] = milliwatts
        add_total(power, self._total)
        clocks = _read(self._clocks.clocks)
        return DeviceSample(
            at_ns=at_ns,
            power_mw=power,
            temperatures_c=_read(self._zones),
            clocks_mhz=clocks,
            loads=self._clocks.read_loads(clocks),
            throttled=self._throttles.read(),
        )

    def close(self) -> None:
        """Nothing stays open between samples."""

    def _gaps(self) -> list[str]:
        gaps = []
        if self._rails and not self._total:
            names = ", ".join(rail.name for rail in self._rails)
            gaps.append(f"energy per frame: the rails {names} are no known total")
        if not self._zones:
            gaps.append("temperatures: no zone in /sys/class/thermal")
        if self._throttles.is_blind:
            gaps.append("throttling: no cooling device and no over-current counter")
        return gaps


def _read(gauges: dict[str, Gauge]) -> dict[str, float]:
    values = {name: gauge.read() for name, gauge in gauges.items()}
    return {name: value for name, value in values.items() if value is not None}
