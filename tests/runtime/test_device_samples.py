"""What a sample holds where a device tells nothing, and that every monitor is one."""

from __future__ import annotations

from pathlib import Path

from runtime.device_monitor import JoinedMonitor
from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.jetson_sysfs import JetsonMonitor
from tests.fakes.device_monitor import FakeMonitor, sample_at


def test_an_empty_sample_tells_nothing() -> None:
    sample = DeviceSample(5)
    assert (sample.power_mw, sample.temperatures_c, sample.clocks_mhz) == ({}, {}, {})
    assert (sample.loads, sample.throttled, sample.energy_mj) == ({}, (), None)
    assert DeviceSample(1).power_mw is not DeviceSample(2).power_mw


def test_the_monitors_are_monitors(tmp_path: Path) -> None:
    fake = FakeMonitor([sample_at(0)])
    monitors: list[DeviceMonitor] = [JetsonMonitor(tmp_path), fake, JoinedMonitor(fake, fake)]
    for monitor in monitors:
        assert monitor.sample().at_ns >= 0
        assert isinstance(monitor.missing, tuple)
        monitor.close()
    assert fake.is_closed
