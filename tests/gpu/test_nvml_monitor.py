"""What a real GPU's driver tells through NVML."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pynvml")

from runtime.device_log import DeviceLog
from runtime.energy import EnergyMeter
from runtime.errors import BackendError
from runtime.nvml_monitor import NvmlMonitor

if TYPE_CHECKING:
    from runtime.device_samples import DeviceMonitor

pytestmark = pytest.mark.gpu


@pytest.fixture
def monitor() -> Iterator[DeviceMonitor]:
    """The first GPU."""
    try:
        monitor = NvmlMonitor()
    except BackendError as error:
        pytest.skip(str(error))
    if monitor.total_rail is None:
        pytest.skip(f"{monitor.name} tells no power")
    yield monitor
    monitor.close()


def test_readings_are_those_of_a_gpu(monitor: DeviceMonitor) -> None:
    sample = monitor.sample()
    assert 3e3 < sample.power_mw["GPU board"] < 1.5e6
    assert 5 < sample.temperatures_c["gpu"] < 110
    assert 100 < sample.clocks_mhz["gpu"] < 4000
    assert 0 <= sample.loads["gpu"] <= 1


def test_the_counter_agrees_with_the_power(monitor: DeviceMonitor) -> None:
    with DeviceLog(monitor, interval_s=0.1) as log:
        time.sleep(4)
    first, last = log.samples[0], log.samples[-1]
    if first.energy_mj is None or last.energy_mj is None:
        pytest.skip(f"{monitor.name} has no energy counter")
    counted = last.energy_mj - first.energy_mj
    powers = [sample.power_mw["GPU board"] for sample in log.samples]
    mean_mw = sum(powers) / len(powers)
    # Power is a mean over a second on most GPUs, so that the ends do not fit exactly.
    assert counted == pytest.approx(mean_mw * (last.at_ns - first.at_ns) / 1e9, rel=0.3)
    meter = EnergyMeter(log.samples, monitor.total_rail)
    assert meter.between_mj(first.at_ns, last.at_ns - 1) == pytest.approx(counted, rel=0.05)
