"""Which power rails of a Jetson make up the whole device, by their names."""

from __future__ import annotations

from collections.abc import Iterable

# The first of these whose rails are all there is the device's total. A single rail is measured at
# the input; several are added, which leaves out what only the carrier board takes.
# Sources: NVIDIA, Jetson Linux Developer Guide, "Software-based power consumption modeling" of the
# r32.7, r35 and r36 guides; tests/data/devices/README.md has them one by one.
TOTALS: tuple[tuple[str, ...], ...] = (
    ("VDD_IN",),  # Orin Nano, Orin NX, Xavier NX, TX2: the module's input
    ("VIN",),  # Thor's developer kit: an INA238 at the board's input
    ("POM_5V_IN",),  # Nano
    # AGX Orin. Not VDDQ_VDD2_1V8AO, the memory: it is fed from VIN_SYS_5V0.
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # Thor on a board without the INA238
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)
# More than any Jetson takes: Thor's input is limited to 168 W. An idle rail may read a little less
# than nothing, an offset of its sensor: Thor's VDD_GPU shows -392 mW.
LOWEST_MW, HIGHEST_MW = -2e3, 1e6


def find_total(names: Iterable[str]) -> tuple[str, ...]:
    """Return the rails that make up the whole device; empty if these do not say it."""
    known = frozenset(names)
    return next((rails for rails in TOTALS if known.issuperset(rails)), ())


def total_name(rails: tuple[str, ...]) -> str | None:
    """Return the name under which a total stands among the rails: of a sum its terms."""
    return " + ".join(rails) or None


def add_total(power_mw: dict[str, float], rails: tuple[str, ...]) -> None:
    """Put the sum of several rails beside them; nothing if one of them is absent.

    Args:
        power_mw: Milliwatts by rail; receives the sum under ``total_name(rails)``.
        rails: As ``find_total`` returned them; one alone is there already.
    """
    if len(rails) > 1 and power_mw.keys() >= set(rails):
        power_mw[" + ".join(rails)] = sum(power_mw[rail] for rail in rails)
