"""The doctor's checks of the system: Python, Jetson, power, service manager."""

from __future__ import annotations

import platform
import re
import sys

from runtime.findings import Finding, missing, note, ok
from runtime.jetson_power import find_rails, power_faults
from runtime.jetson_sysfs import is_jetson
from runtime.machine import Machine
from runtime.power_rails import find_total, total_name

LEAST_PYTHON, FIRST_UNTRIED_PYTHON = (3, 10), (3, 14)
# By the start of L4T's version, as NVIDIA's archive of JetPack lists them; the longest counts.
JETPACK_BY_L4T = {
    "35.": "5",
    "36.": "6.0",
    "36.4": "6.2.1",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.5": "6.2.2",
    "36.5.2": "6.2.3",
    "38.": "7",
    "38.2": "7.0",
    "38.4": "7.1",
    "39.": "7.2",
    "39.2.1": "7.2.1",
    "39.2.2": "7.2.2",
}
FIRST_L4T = (36, 4)  # with TensorRT 10.3; JetPack 6.0 still brought 8.6
FASTEST_MODE = "MAXN"
CPU_CLOCKS = "/sys/devices/system/cpu/cpu0/cpufreq"


def check_python(machine: Machine, version: tuple[int, ...] | None = None) -> list[Finding]:
    """Say which Python, system and processor this is.

    Args:
        machine: To look at.
        version: Of Python; that which runs, if left out.
    """
    version = version or sys.version_info[:3]
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', machine.read("/etc/os-release"), re.MULTILINE)
    where = system[1] if system else platform.system()
    inside = ", in a container" if machine.is_container else ""
    text = f"Python {'.'.join(map(str, version))} on {where}, {platform.machine()}{inside}"
    if LEAST_PYTHON <= version[:2] < FIRST_UNTRIED_PYTHON:
        return [ok(text)]
    return [missing(f"{text}; expected 3.10 to 3.13", "everything", "make setup PYTHON=python3.12")]


def check_jetson(machine: Machine) -> list[Finding]:
    """Say which Jetson and JetPack this is; nothing on another machine."""
    release = machine.read("/etc/nv_tegra_release")
    match = re.search(r"# R(\d+) .*?REVISION: ([\d.]+)", release)
    if match is None:
        return []
    model = machine.read("/proc/device-tree/model") or "a Jetson"
    version = f"{match[1]}.{match[2]}"
    fitting = [start for start in JETPACK_BY_L4T if version.startswith(start)]
    jetpack = f"JetPack {JETPACK_BY_L4T[max(fitting, key=len)]}" if fitting else "unknown JetPack"
    text = f"{model}, L4T {version} ({jetpack})"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < FIRST_L4T:
        remedy = "install a newer one: NVIDIA's SDK Manager"
        return [missing(f"{text}; expected JetPack 6.1 or later", "TensorRT 10.3", remedy)]
    return [ok(text)]


def check_power(machine: Machine) -> list[Finding]:
    """Say whether a Jetson's clocks are held back; nothing on another machine."""
    if not machine.exists("/etc/nv_tegra_release"):
        return []
    findings = []
    mode = re.search(r"NV Power Mode:\s*(\S+)", machine.run("nvpmodel", "-q").text)
    if mode is None:
        findings.append(note("power mode cannot be read", remedy="sudo nvpmodel -q"))
    elif mode[1].startswith(FASTEST_MODE):
        findings.append(ok(f"power mode {mode[1]}"))
    else:
        findings.append(note(f"power mode {mode[1]}", "full speed", "sudo nvpmodel -m 0"))
    clocks = [machine.read(f"{CPU_CLOCKS}/scaling_{end}_freq") for end in ("min", "max")]
    if all(clocks):
        if clocks[0] == clocks[1]:
            findings.append(ok("jetson_clocks is on"))
        else:
            findings.append(note("jetson_clocks is off", "even latency", "sudo jetson_clocks"))
    return findings


def check_rails(machine: Machine) -> list[Finding]:
    """Say whether a Jetson tells what power it takes; nothing on another machine."""
    root = machine.path("/")
    if not is_jetson(root):
        return []
    rails = find_rails(root)
    findings = [note(fault, "energy per frame") for fault in power_faults(root, rails)]
    if total := total_name(find_total(rail.name for rail in rails)):
        findings.append(ok(f"power of the whole device: {total}"))
    return findings


def check_systemd(machine: Machine) -> list[Finding]:
    """Say whether a service can be set up."""
    if machine.exists("/run/systemd/system"):
        return [ok("systemd is running: a stream can be a service with a watchdog")]
    return [note("systemd is not running", "a stream as a service")]
