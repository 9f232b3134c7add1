"""A stand-in for NVIDIA's pynvml with one or more GPUs of planted readings."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

NOT_SUPPORTED = "Not Supported"


class NVMLError(Exception):
    """As the library's own."""


class FakeNvml(ModuleType):
    """Has GPUs by number; a reading that is None is not supported.

    Attributes:
        gpus: Readings of each GPU by name.
        has_driver: Whether the library can be started.
        is_open: Whether it is started now.
    """

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2

    def __init__(self, *gpus: dict[str, object]) -> None:
        super().__init__("pynvml")
        self.gpus = list(gpus)
        self.has_driver = True
        self.is_open = False

    def nvmlInit(self) -> None:
        if not self.has_driver:
            raise NVMLError("Driver Not Loaded")
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        if number >= len(self.gpus):
            raise NVMLError("Invalid Argument")
        return number

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        for number, gpu in enumerate(self.gpus):
            if gpu.get("uuid") == uuid:
                return number
        raise NVMLError("Not Found")

    def nvmlDeviceGetIndex(self, device: int) -> int:
        return device

    def nvmlDeviceGetName(self, device: int) -> object:
        return self._read(device, "name")

    def nvmlDeviceGetPowerUsage(self, device: int) -> object:
        return self._read(device, "power_mw")

    def nvmlDeviceGetTemperature(self, device: int, _sensor: int) -> object:
        return self._read(device, "temperature_c")

    def nvmlDeviceGetClockInfo(self, device: int, clock: int) -> object:
        return self._read(device, {1: "sm_mhz", 2: "memory_mhz"}[clock])

    def nvmlDeviceGetUtilizationRates(self, device: int) -> SimpleNamespace:
        gpu = self._read(device, "gpu_percent")
        return SimpleNamespace(gpu=gpu, memory=self._read(device, "memory_percent"))

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> object:
        return self._read(device, "energy_mj")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, device: int) -> object:
        return self._read(device, "reasons")

    def _read(self, device: int, name: str) -> object:
        assert self.is_open
        value = self.gpus[device].get(name)
        if value is None:
            raise NVMLError(NOT_SUPPORTED)
        return value


H200 = {
    "name": "NVIDIA H200",
    "uuid": "GPU-1",
    "power_mw": 312_000,
    "temperature_c": 41,
    "sm_mhz": 1980,
    "memory_mhz": 3201,
    "gpu_percent": 97,
    "memory_percent": 12,
    "energy_mj": 5_000_000,
    "reasons": 0,
}
ORIN = {"name": b"Orin (nvgpu)"}  # starts, and tells nothing else
