"""What a line of NVIDIA's ``tegrastats`` says; what a line does not say, or says anew, is left out.

Formats differ between JetPack 4 and 7: power with or without "mW" and with two or three figures,
temperatures with or without a second one, one clock or one for each part of the GPU in brackets, a
memory clock for root only. Every field is looked for by itself, so that an unknown one beside it
changes nothing.
"""

from __future__ import annotations

import re

from runtime.device_samples import DeviceSample
from runtime.jetson_clocks import HIGHEST_MHZ
from runtime.jetson_thermal import HIGHEST_C, LOWEST_C, NOT_THERMAL
from runtime.power_rails import HIGHEST_MW, LOWEST_MW, add_total, find_total

# A line is a few hundred characters; what is longer comes from another program.
LONGEST_LINE = 8192
TEMPERATURE = re.compile(r"(?<!\S)([A-Za-z][\w-]*)@(-?\d{1,6}(?:\.\d{1,6})?)C(?=[\s/]|$)")
# Current and mean power, then on JetPack 7 the highest: the first counts. Memory, such as
# "RAM 1483/7620MB", looks like it where a line is cut.
POWER = re.compile(
    r"(?<!\S)(?!I?RAM |SWAP )([A-Z][A-Z0-9_]*) (-?\d{1,9})(?:mW)?(?:/-?\d{1,9}(?:mW)?){1,2}(?!\S)"
)
GPU = re.compile(r"(?<!\S)GR3D_FREQ (?:(\d{1,3})%)?(?:@\[?(\d{1,6}(?:,\d{1,6})*)\]?)?(?!\S)")
EMC = re.compile(r"(?<!\S)EMC_FREQ (?:(\d{1,3})%)?(?:@(\d{1,6}))?(?!\S)")
CPUS = re.compile(r"(?<!\S)CPU \[([^\]]{0,2048})\](?:@(\d{1,6}))?")
CPU = re.compile(r"(?:\d{1,3}%)?@(\d{1,6})")


def parse_line(line: str, at_ns: int) -> DeviceSample:
    """Return what one line tells.

    Args:
        line: One line of output, with or without date and time at its start.
        at_ns: When it was read, of ``time.perf_counter_ns``.

    Returns:
        The sample: of a GPU with several clocks the highest; every CPU's own clock, those that are
        off left out. No line tells whether clocks are held back.
    """
    line = line[:LONGEST_LINE]
    clocks, loads = _parse_cpus(line), {}
    for unit, pattern in (("gpu", GPU), ("emc", EMC)):
        match = pattern.search(line)
        if match is None:
            continue
        if match[1] is not None and int(match[1]) <= 100:
            loads[unit] = int(match[1]) / 100
        if match[2] is not None:
            clocks[unit] = float(max(int(clock) for clock in match[2].split(",")))
    return DeviceSample(
        at_ns=at_ns,
        power_mw=_parse_power(line),
        temperatures_c=_parse_temperatures(line),
        clocks_mhz={unit: clock for unit, clock in clocks.items() if clock <= HIGHEST_MHZ},
        loads=loads,
    )


def _parse_power(line: str) -> dict[str, float]:
    found = {name: float(milliwatts) for name, milliwatts in POWER.findall(line)}
    power = {name: mw for name, mw in found.items() if LOWEST_MW <= mw <= HIGHEST_MW}
    add_total(power, find_total(power))
    return power


def _parse_temperatures(line: str) -> dict[str, float]:
    found = {name: float(degrees) for name, degrees in TEMPERATURE.findall(line)}
    return {
        name: degrees
        for name, degrees in found.items()
        if LOWEST_C <= degrees <= HIGHEST_C and not name.startswith(NOT_THERMAL)
    }


def _parse_cpus(line: str) -> dict[str, float]:
    match = CPUS.search(line)
    if match is None:
        return {}
    clocks = {}
    for index, cpu in enumerate(match[1].split(",")):
        own = CPU.fullmatch(cpu.strip())
        if own:
            clocks[f"cpu{index}"] = float(own[1])
        elif match[2] and cpu.strip() != "off":  # one clock for all, after the bracket
            clocks[f"cpu{index}"] = float(match[2])
    return clocks
