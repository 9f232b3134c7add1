"""Clocks of a Jetson's units and how busy they are, from the kernel's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.sysfs_files import Gauge, fault_of, find_paths

DEVFREQ = "sys/class/devfreq"
# The GPU's name there: of Thor, of Orin since JetPack 6, of Orin, Xavier and TX2 before.
GPU_NAMES = ("gpu-gpc-0", "*.gpu", "*.ga10b", "*.gv11b", "*.gp10b")
# Where there is no such node, as on Xavier with JetPack 4.
GPU_LOADS = ("sys/devices/platform/gpu.0/load", "sys/devices/gpu.0/load")
CPU_POLICIES = "sys/devices/system/cpu/cpufreq"
EMC_CLOCKS = (
    "sys/kernel/debug/bpmp/debug/clk/emc/rate",  # root only
    "sys/class/devfreq/bwmgr/cur_freq",  # Thor
)
# How busy the memory is, in kilohertz of the clock above; all but the last for root only.
EMC_ACTIVITIES = (
    "sys/kernel/debug/cactmon/mc_all",  # Orin, JetPack 6
    "sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity",  # Thor
    "sys/kernel/actmon_avg_activity/mc_all",  # Xavier, Orin with JetPack 5
)
HIGHEST_MHZ = 20e3


@dataclass(frozen=True)
class Clocks:
    """Where the clocks and loads are read; what is not to be had is absent.

    Attributes:
        clocks: Megahertz by unit: "gpu", "emc", "cpu0", with a cluster's first CPU standing for it.
        gpu_load: 0 to 1.
        emc_activity: Megahertz at which the memory was busy; over its clock it is its load.
        missing: What cannot be read and why, one line each.
    """

    clocks: dict[str, Gauge]
    gpu_load: Gauge | None
    emc_activity: Gauge | None
    missing: tuple[str, ...]

    def read_loads(self, clocks_mhz: dict[str, float]) -> dict[str, float]:
        """Return how busy units are, 0 to 1.

        Args:
            clocks_mhz: Just read from ``clocks``.
        """
        loads = {}
        gpu = self.gpu_load.read() if self.gpu_load else None
        if gpu is not None:
            loads["gpu"] = gpu
        busy_mhz = self.emc_activity.read() if self.emc_activity else None
        emc_mhz = clocks_mhz.get("emc")
        if busy_mhz is not None and emc_mhz:
            loads["emc"] = min(1.0, busy_mhz / emc_mhz)
        return loads


def find_clocks(root: Path) -> Clocks:
    """Find what a Jetson tells of its clocks.

    Args:
        root: Of the file system.
    """
    clocks, missing = {}, []
    gpu = _first_node(root)
    if gpu is None:
        missing.append(f"GPU clock: no GPU in /{DEVFREQ}")
    else:
        clocks["gpu"] = _clock(gpu / "cur_freq", 1e-6)
    loads = [gpu / "device/load"] if gpu else []
    load = _first_readable([*loads, *_paths(root, GPU_LOADS)])
    if load is None:
        missing.append("GPU load: the kernel has no file for it")
    emc_clocks, emc_activities = _paths(root, EMC_CLOCKS), _paths(root, EMC_ACTIVITIES)
    emc, activity = _first_readable(emc_clocks), _first_readable(emc_activities)
    if emc is None:
        missing.append(f"memory clock and load: {_fault(root, emc_clocks)}")
    else:
        clocks["emc"] = _clock(emc, 1e-6)
        if activity is None:
            missing.append(f"memory load: {_fault(root, emc_activities)}")
    for policy in find_paths(root / CPU_POLICIES, "policy*"):
        cpu = policy.name.removeprefix("policy")
        clocks[f"cpu{cpu}"] = _clock(policy / "scaling_cur_freq", 1e-3)
    return Clocks(
        clocks,
        None if load is None else Gauge(load, 1e-3, 0.0, 1.0),
        None if activity is None else _clock(activity, 1e-3),
        tuple(missing),
    )


def _clock(path: Path, scale: float) -> Gauge:
    return Gauge(path, scale, 0.0, HIGHEST_MHZ)


def _first_node(root: Path) -> Path | None:
    for name in GPU_NAMES:
        for node in find_paths(root / DEVFREQ, name):
            return node
    return None


def _first_readable(paths: list[Path]) -> Path | None:
    return next((path for path in paths if not fault_of(path)), None)


def _paths(root: Path, names: tuple[str, ...]) -> list[Path]:
    return [root / name for name in names]


def _fault(root: Path, paths: list[Path]) -> str:
    """Say why none of these can be read: of the first that is only closed to this user, if any."""
    faults = {path: fault_of(path) for path in paths}
    path = next((path for path in paths if faults[path] == "no permission"), paths[0])
    remedy = "; run as root to have it" if faults[path] == "no permission" else ""
    return f"{faults[path]}: /{path.relative_to(root)}{remedy}"
