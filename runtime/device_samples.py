"""What a device tells about itself while it works: power, temperatures, clocks, throttling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class DeviceSample:
    """One reading. What a device does not tell is absent, never zero.

    Attributes:
        at_ns: Reading of ``time.perf_counter_ns``.
        power_mw: Milliwatts by rail, such as "VDD_IN"; ``total_rail`` of the monitor says which one
            holds all others.
        temperatures_c: Degrees Celsius by zone, such as "tj-thermal".
        clocks_mhz: Megahertz by unit: "gpu", "emc", "cpu0" and so on.
        loads: Share of time that a unit was busy, 0 to 1: "gpu", "emc".
        throttled: What holds clocks back right now, such as "gpu-throttle-alert"; empty if nothing.
        energy_mj: Millijoules that the whole device has taken since some moment before, by a
            counter of its own; None where it has none.
    """

    at_ns: int
    power_mw: Mapping[str, float] = field(default_factory=dict)
    temperatures_c: Mapping[str, float] = field(default_factory=dict)
    clocks_mhz: Mapping[str, float] = field(default_factory=dict)
    loads: Mapping[str, float] = field(default_factory=dict)
    throttled: tuple[str, ...] = ()
    energy_mj: float | None = None


class DeviceMonitor(Protocol):
    """Reads one device; from one thread.

    Attributes:
        name: The device, such as "Jetson Orin Nano (sysfs)" or "NVIDIA H200 (NVML)".
        power_mode: Such as "15W"; "" where the device has none or does not tell.
        total_rail: The key of ``power_mw`` that holds the whole device; None if no rail does.
        missing: What cannot be read and why, one line each, such as missing permission.
    """

    name: str
    power_mode: str
    total_rail: str | None
    missing: tuple[str, ...]

    def sample(self) -> DeviceSample:
        """Read everything now; what fails is absent."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...
