"""The measurement page's sections on what a device gave: memory, power, heat, and its drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runtime.html_charts import figure
from runtime.html_numbers import mebibytes, number, percent, short
from runtime.html_parts import Cell, Html, join, paragraph, section, table, tag
from runtime.measure_charts_runs import drift_chart
from runtime.measure_page_parts import ABSENT, TitledRun, each_run, latency_decimals, text_cell
from runtime.measurement import Device, SoakWindow, ThrottlePeriod

# A line needs two points.
FEWEST_WINDOWS = 2


def memory(runs: Sequence[TitledRun]) -> Html:
    """Return what the process and the GPU's memory held; empty if nothing is known."""
    made = each_run(runs, _memory)
    return section("memory", "Memory", made) if made else made


def device(runs: Sequence[TitledRun]) -> Html:
    """Return power, temperatures, clocks and drift; empty where no device told any."""
    made = each_run(runs, _device)
    return section("device", "Device", made) if made else made


def _memory(titled: TitledRun) -> Html:
    found = titled.run.memory
    if found is None:
        return Html()
    rows = [
        ("process, libraries loaded", mebibytes(found.host_before_open)),
        ("process, artifact open", mebibytes(found.host_open)),
        ("process, the most at any time", mebibytes(found.host_peak)),
    ]
    for name, size in (
        ("GPU, taken by opening the artifact", found.device_open),
        ("GPU, taken while frames were measured", found.device_running),
    ):
        if size is not None:
            rows.append((name, mebibytes(size)))
    return table("Memory of this process, resident, and of the GPU", ("what", "memory"), rows)


def _device(titled: TitledRun) -> Html:
    found = titled.run.device
    if found is None:
        return Html()
    mode = f", power mode {found.power_mode}" if found.power_mode else ""
    parts = [paragraph(f"{found.name}{mode}.")]
    if found.throttled:
        text = f"Clocks were held back: {', '.join(found.throttled)}."
        parts.append(paragraph(tag("strong", text), kind="warning"))
    parts.append(tag("div", *_tables(found), class_="beside"))
    if len(found.windows) >= FEWEST_WINDOWS:
        parts += [tag("h3", "Over time"), figure(drift_chart(found.windows), _drift(found.windows))]
    if found.windows:
        parts.append(_windows_table(found.windows))
    if found.throttle_periods:
        parts.append(_periods_table(found.throttle_periods))
    if found.missing:
        parts.append(paragraph("Not read:"))
        parts.append(tag("ul", *(tag("li", reason) for reason in found.missing)))
    return join(parts)


def _tables(found: Device) -> list[Html]:
    energy = found.energy_mj_per_frame
    power = {name: f"{short(mw / 1000)} W" for name, mw in found.power_mw.items()}
    if energy is not None:
        power["energy of a frame, whole device"] = f"{short(energy)} mJ"
    return [
        *_table("Power, mean", ("rail", "power"), power),
        *_table("Hottest", ("zone", "\N{DEGREE SIGN}C"), found.temperatures_c, _degrees),
        *_table("Clock, mean", ("unit", "MHz"), found.clocks_mhz, _megahertz),
        *_table("Busy, mean", ("unit", "share"), found.loads, percent),
    ]


def _table(
    caption: str,
    head: tuple[str, str],
    values: Mapping[str, object],
    written: Callable[..., str] = str,
) -> list[Html]:
    """Return a table of names and values in a list; an empty list for no values."""
    rows = [(name, written(value)) for name, value in values.items()]
    return [table(caption, head, rows)] if rows else []


def _degrees(value: float) -> str:
    return number(value, 1)


def _megahertz(value: float) -> str:
    return number(value, 0)


def _drift(windows: Sequence[SoakWindow]) -> str:
    """Say how p99 changed from the first window to the last."""
    first, last = windows[0].end_to_end.p99_ms, windows[-1].end_to_end.p99_ms
    change = (last - first) / first
    direction = "rose" if change > 0 else "fell"
    held = sum(bool(window.throttled) for window in windows)
    shaded = f" Shaded: the {held} in which clocks were held back." if held else ""
    return f"p99 {direction} by {percent(abs(change))} over {len(windows)} windows.{shaded}"


def _windows_table(windows: Sequence[SoakWindow]) -> Html:
    decimals = latency_decimals([window.end_to_end for window in windows])
    rows: list[list[str | Cell]] = []
    for window in windows:
        latency, energy = window.end_to_end, window.energy_mj_per_frame
        times = (latency.p50_ms, latency.p99_ms, latency.max_ms)
        rows.append(
            [
                _since_start(window.started_s),
                str(latency.count),
                *(number(value, decimals) for value in times),
                ABSENT if energy is None else short(energy),
                ABSENT if window.hottest_c is None else _degrees(window.hottest_c),
                text_cell(", ".join(window.throttled) or ABSENT),
            ]
        )
    head = (
        "from",
        "frames",
        "p50, ms",
        "p99, ms",
        "max, ms",
        "mJ per frame",
        "hottest, \N{DEGREE SIGN}C",
    )
    return table("The run in windows", (*head, text_cell("held back by")), rows)


def _periods_table(periods: Sequence[ThrottlePeriod]) -> Html:
    rows = [(p.reason, _since_start(p.from_s), _since_start(p.to_s)) for p in periods]
    return table("When clocks were held back, in minutes", ("by", "from", "to"), rows)


def _since_start(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
