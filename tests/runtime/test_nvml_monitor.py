"""A GPU through NVML, by a stand-in for the library."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from runtime.errors import BackendError
from tests.fakes.fake_pynvml import H200, ORIN, FakeNvml


@pytest.fixture
def nvml() -> FakeNvml:
    return FakeNvml(dict(H200))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> Iterator[ModuleType]:
    """Import the module with the stand-in, whether or not the library is installed."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delitem(sys.modules, "runtime.nvml_monitor", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield importlib.import_module("runtime.nvml_monitor")
    sys.modules.pop("runtime.nvml_monitor", None)


def test_a_server_gpu_tells_everything(module: ModuleType, nvml: FakeNvml) -> None:
    monitor = module.NvmlMonitor()
    assert (monitor.name, monitor.power_mode) == ("NVIDIA H200 (NVML)", "")
    assert (monitor.total_rail, monitor.missing) == ("GPU board", ())
    sample = monitor.sample()
    assert sample.power_mw == {"GPU board": 312_000}
    assert sample.temperatures_c == {"gpu": 41}
    assert sample.clocks_mhz == {"gpu": 1980, "memory": 3201}
    assert sample.loads == {"gpu": 0.97, "memory": 0.12}
    assert (sample.energy_mj, sample.throttled) == (5_000_000, ())
    monitor.close()
    assert not nvml.is_open


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x000, ()),
        (0x001, ()),  # idle
        (0x002, ()),  # clocks that a user set
        (0x113, ()),  # idle, user, sync boost, display
        (0x004, ("software power cap",)),
        (0x020, ("software thermal slowdown",)),
        (0x048, ("hardware slowdown", "hardware thermal slowdown")),
        (0x085, ("software power cap", "hardware power brake")),
        (1 << 40, ()),  # of a newer driver
    ],
)
def test_reasons_that_are_throttling(
    module: ModuleType, nvml: FakeNvml, bits: int, names: tuple[str, ...]
) -> None:
    monitor = module.NvmlMonitor()
    nvml.gpus[0]["reasons"] = bits
    assert monitor.sample().throttled == names


def test_a_gpu_that_tells_nothing_says_so(module: ModuleType, nvml: FakeNvml) -> None:
    nvml.gpus = [dict(ORIN)]
    monitor = module.NvmlMonitor()
    assert monitor.name == "Orin (nvgpu) (NVML)"
    assert monitor.total_rail is None
    whats = ("power", "temperature", "clock", "load", "energy counter", "throttling")
    assert monitor.missing == tuple(f"{what}: NVML does not tell it on this GPU" for what in whats)
    assert monitor.sample().power_mw == {}


def test_a_reading_that_fails_later_or_cannot_be_is_absent(
    module: ModuleType, nvml: FakeNvml
) -> None:
    monitor = module.NvmlMonitor()
    nvml.gpus[0].update(power_mw=None, temperature_c=-273, gpu_percent=2**32 - 1, energy_mj=None)
    sample = monitor.sample()
    assert (sample.power_mw, sample.temperatures_c) == ({}, {})
    assert (sample.loads, sample.energy_mj) == ({"memory": 0.12}, None)
    assert sample.clocks_mhz["gpu"] == 1980


@pytest.mark.parametrize(
    ("visible", "number"), [("", 0), ("1", 1), ("1,0", 1), ("GPU-2", 1), ("GPU-1,GPU-2", 0)]
)
def test_the_gpu_that_cuda_sees_first(
    module: ModuleType,
    nvml: FakeNvml,
    monkeypatch: pytest.MonkeyPatch,
    visible: str,
    number: int,
) -> None:
    nvml.gpus = [dict(H200), {**H200, "name": "NVIDIA L4", "uuid": "GPU-2"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monitor = module.NvmlMonitor()
    assert monitor.name.startswith(("NVIDIA H200", "NVIDIA L4")[number])
    assert monitor.missing == (f"other GPUs: 2 are here, this is number {number} of NVML",)


def test_without_a_driver_there_is_one_clear_line(module: ModuleType, nvml: FakeNvml) -> None:
    nvml.has_driver = False
    with pytest.raises(BackendError, match="NVML: Driver Not Loaded; expected NVIDIA's driver"):
        module.NvmlMonitor()


@pytest.mark.parametrize("visible", ["7", "GPU-9"])
def test_a_gpu_that_is_not_there_lets_go_of_the_library(
    module: ModuleType, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(BackendError, match="first entry of CUDA_VISIBLE_DEVICES"):
        module.NvmlMonitor()
    assert not nvml.is_open


def test_the_names_that_are_called_exist_in_the_library() -> None:
    library = pytest.importorskip("pynvml")
    stand_in = [name for name in vars(FakeNvml) if name.lower().startswith("nvml")]
    assert [name for name in stand_in if not hasattr(library, name)] == []
