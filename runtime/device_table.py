"""Samples of a device as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.device_samples import DeviceMonitor, DeviceSample

COLUMNS = "seconds    watts  hottest  GPU             memory               CPU  throttled"
NOTHING = "-"


def format_header(monitor: DeviceMonitor) -> list[str]:
    """Return the lines above the table: what is read, and what cannot be."""
    mode = f", power mode {monitor.power_mode}" if monitor.power_mode else ""
    lines = [f"{monitor.name}{mode}"]
    if monitor.total_rail:
        lines.append(f"watts: {monitor.total_rail}")
    lines += [f"missing: {line}" for line in monitor.missing]
    return [*lines, COLUMNS]


def format_sample(sample: DeviceSample, origin_ns: int, total_rail: str | None) -> str:
    """Return one sample as a line under ``COLUMNS``; what is unknown is a dash.

    Args:
        sample: To show.
        origin_ns: What its time is counted from.
        total_rail: Which rail holds the whole device.
    """
    total_mw = sample.power_mw.get(total_rail or "")
    hottest_c = max(sample.temperatures_c.values(), default=None)
    cpu_mhz = max(
        (mhz for unit, mhz in sample.clocks_mhz.items() if unit.startswith("cpu")), default=None
    )
    memory = "emc" if "emc" in sample.clocks_mhz else "memory"
    return (
        f"{(sample.at_ns - origin_ns) / 1e9:7.1f}"
        f"  {_number(total_mw, 1e-3, 2):>7}"
        f"  {_number(hottest_c, 1, 1):>5} C"
        f"  {_unit(sample.clocks_mhz, sample.loads, 'gpu'):<14}"
        f"  {_unit(sample.clocks_mhz, sample.loads, memory):<14}"
        f"  {_number(cpu_mhz, 1, 0):>4} MHz"
        f"  {', '.join(sample.throttled) or NOTHING}"
    )


def _unit(clocks_mhz: Mapping[str, float], loads: Mapping[str, float], unit: str) -> str:
    load = _number(loads.get(unit), 100, 0)
    return f"{load:>3}% {_number(clocks_mhz.get(unit), 1, 0):>5} MHz"


def _number(value: float | None, scale: float, digits: int) -> str:
    return NOTHING if value is None else f"{value * scale:.{digits}f}"
