"""What a reader must know about the machine to judge a figure."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from runtime.backends import available_cores

CPU_INFO = Path("/proc/cpuinfo")
PROCESS_STATUS = Path("/proc/self/status")
# Where boards with an Arm processor, such as a Jetson, state their name.
BOARD_NAME = Path("/proc/device-tree/model")
LIBRARIES = ("numpy", "onnx", "onnxruntime", "torch", "faster-coco-eval")
# Share of the cores that other programs may use before a figure deserves a remark.
BUSY_SHARE = 0.25


def machine_facts() -> dict[str, Any]:
    """Return the machine's and the libraries' description, ready for JSON."""
    return {
        "cpu": cpu_model(),
        "cores": available_cores(),
        "memory_gib": memory_gib(),
        "gpu": "none used",
        "system": system_name(),
        "python": platform.python_version(),
        "libraries": library_versions(),
    }


def cpu_model(cpu_info: Path = CPU_INFO, board_name: Path = BOARD_NAME) -> str:
    """Return the processor's name, or the board's, or at least the architecture."""
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    if board_name.is_file():
        return board_name.read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Return the machine's memory in GiB, None where the system does not tell."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    return round(size / 2**30, 1)


def system_name() -> str:
    """Return the operating system with its release and kernel."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.release()}, {platform.machine()}"


def library_versions() -> dict[str, str]:
    """Return the version of each library that the figures depend on; absent ones are left out."""
    versions = {}
    # Its packages have many names; not every environment that measures a GPU has one.
    with contextlib.suppress(ModuleNotFoundError):
        versions["opencv"] = str(importlib.import_module("cv2").__version__)
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def peak_mib(status: Path = PROCESS_STATUS) -> float | None:
    """Return the largest resident memory of this process so far, None where unknown."""
    if not status.is_file():
        return None
    found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    return None if found is None else round(int(found.group(1)) / 1024, 1)


def load_average() -> float | None:
    """Return how many programs wanted a core over the last minute, None where unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def busy_remark(load: float | None, cores: int) -> str:
    """Say that other programs ran when a measurement began; "" if they did not."""
    if load is None or load <= BUSY_SHARE * cores:
        return ""
    return f"note: load average {load:g} on {cores} cores before the start; other programs ran"


def machine_line(facts: dict[str, Any]) -> str:
    """Return the machine in one line."""
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, GPU {facts['gpu']}; "
        f"{facts['system']}; Python {facts['python']}, {libraries}"
    )
