"""An NVIDIA GPU as the driver's management library (NVML) tells it: desktop, server, Thor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pynvml

from runtime.device_samples import DeviceSample
from runtime.errors import BackendError
from runtime.jetson_clocks import HIGHEST_MHZ
from runtime.jetson_thermal import HIGHEST_C, LOWEST_C
from runtime.power_rails import HIGHEST_MW

RAIL = "GPU board"
# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h) that mean that something holds clocks
# back. Left out: idle (0x1), clocks that a user set (0x2), sync boost (0x10), display (0x100).
REASONS = {
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
}
Reading = tuple[str, Callable[[], float], float, float]  # name, how, lowest and highest possible


class NvmlMonitor:
    """Reads one GPU; see ``DeviceMonitor``.

    Power is what NVML reports: on most GPUs since Ampere a mean over a second. Energy comes from
    the GPU's own counter where there is one.

    Raises:
        BackendError: If there is no driver or no GPU.
    """

    power_mode = ""

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise BackendError(
                f"NVML: {error}; expected NVIDIA's driver; try: nvidia-smi"
            ) from None
        try:
            self._device, number, count = _open_device()
            name = pynvml.nvmlDeviceGetName(self._device)
        except pynvml.NVMLError as error:
            pynvml.nvmlShutdown()
            raise BackendError(
                f"NVML: {error}; expected a GPU at the first entry of CUDA_VISIBLE_DEVICES; try: "
                "nvidia-smi -L"
            ) from None
        self.name = f"{name.decode() if isinstance(name, bytes) else name} (NVML)"
        self._missing: list[str] = []
        if count > 1:
            self._missing.append(f"other GPUs: {count} are here, this is number {number} of NVML")
        self._power = self._readable("power", self._power_readings())
        self._temperatures = self._readable("temperature", self._temperature_readings())
        self._clocks = self._readable("clock", self._clock_readings())
        self._loads = self._readable("load", self._load_readings())
        self._energy = self._readable("energy counter", self._energy_readings())
        self._reasons = self._readable("throttling", self._reason_readings())
        self.total_rail = RAIL if self._power else None
        self.missing = tuple(self._missing)

    def sample(self) -> DeviceSample:
        """Read everything now; what fails is absent."""
        at_ns = time.perf_counter_ns()
        reasons = int(_read(self._reasons).get("throttling", 0))
        return DeviceSample(
            at_ns=at_ns,
            power_mw=_read(self._power),
            temperatures_c=_read(self._temperatures),
            clocks_mhz=_read(self._clocks),
            loads=_read(self._loads),
            throttled=tuple(name for bit, name in REASONS.items() if reasons & bit),
            energy_mj=_read(self._energy).get("energy"),
        )

    def close(self) -> None:
        """Let go of the library."""
        pynvml.nvmlShutdown()

    def _readable(self, what: str, readings: list[Reading]) -> list[Reading]:
        """Return the readings that work; note what is missing if none does."""
        working = [reading for reading in readings if _read([reading])]
        if not working:
            self._missing.append(f"{what}: NVML does not tell it on this GPU")
        return working

    def _power_readings(self) -> list[Reading]:
        return [(RAIL, lambda: pynvml.nvmlDeviceGetPowerUsage(self._device), 0.0, HIGHEST_MW)]

    def _temperature_readings(self) -> list[Reading]:
        sensor = pynvml.NVML_TEMPERATURE_GPU
        read = pynvml.nvmlDeviceGetTemperature
        return [("gpu", lambda: read(self._device, sensor), LOWEST_C, HIGHEST_C)]

    def _clock_readings(self) -> list[Reading]:
        read = pynvml.nvmlDeviceGetClockInfo
        return [
            ("gpu", lambda: read(self._device, pynvml.NVML_CLOCK_SM), 0.0, HIGHEST_MHZ),
            ("memory", lambda: read(self._device, pynvml.NVML_CLOCK_MEM), 0.0, HIGHEST_MHZ),
        ]

    def _load_readings(self) -> list[Reading]:
        read = pynvml.nvmlDeviceGetUtilizationRates
        return [
            ("gpu", lambda: read(self._device).gpu / 100, 0.0, 1.0),
            ("memory", lambda: read(self._device).memory / 100, 0.0, 1.0),
        ]

    def _energy_readings(self) -> list[Reading]:
        read = pynvml.nvmlDeviceGetTotalEnergyConsumption
        return [("energy", lambda: read(self._device), 0.0, float("inf"))]

    def _reason_readings(self) -> list[Reading]:
        # Its name until driver 535; the old one still works.
        read = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons
        return [("throttling", lambda: read(self._device), 0.0, float("inf"))]


def _open_device() -> tuple[Any, int, int]:
    """Return the GPU that CUDA shows first, its number for NVML and how many there are.

    CUDA numbers the fastest GPU first unless CUDA_DEVICE_ORDER=PCI_BUS_ID; NVML always by bus.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    count = pynvml.nvmlDeviceGetCount()
    if visible.startswith("GPU-"):
        device = pynvml.nvmlDeviceGetHandleByUUID(visible)
        return device, pynvml.nvmlDeviceGetIndex(device), count
    number = int(visible) if visible.isdecimal() else 0
    return pynvml.nvmlDeviceGetHandleByIndex(number), number, count


def _read(readings: list[Reading]) -> dict[str, float]:
    values = {}
    for name, read, lowest, highest in readings:
        try:
            value = float(read())
        except pynvml.NVMLError:
            continue
        if lowest <= value <= highest:
            values[name] = value
    return values
