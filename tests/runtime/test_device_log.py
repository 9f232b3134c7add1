"""The thread that samples beside the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from runtime.device_log import DeviceLog, _thin_out
from runtime.device_samples import DeviceSample
from runtime.spans import FrameSpans
from tests.fakes.device_monitor import FakeMonitor, sample_at


class Clock(FakeMonitor):
    """Tells the real time, and who asks."""

    def __init__(self, milliwatts: float = 5000) -> None:
        super().__init__([sample_at(0)])
        self._milliwatts = milliwatts
        self.askers: set[int] = set()

    def sample(self) -> DeviceSample:
        self.asked += 1
        self.askers.add(threading.get_ident())
        return DeviceSample(time.perf_counter_ns(), {"VDD_IN": self._milliwatts})


class Broken(Clock):
    """Raises instead of leaving out what it cannot read."""

    def sample(self) -> DeviceSample:
        raise RuntimeError("a monitor that breaks its promise")


def wait_until(is_true: Callable[[], bool]) -> None:
    while not is_true():
        time.sleep(0.002)


def test_samples_surround_the_work_so_that_its_energy_is_known() -> None:
    with DeviceLog(Clock(), interval_s=30) as log:  # the first and the last sample only
        started_ns = time.perf_counter_ns()
        time.sleep(0.05)
        ended_ns = time.perf_counter_ns()
    first, last = log.samples
    assert first.at_ns < started_ns < ended_ns < last.at_ns
    frame = FrameSpans(0, False, (), started_ns, ended_ns)
    device = log.device([frame])
    assert device.energy_mj_per_frame == pytest.approx((ended_ns - started_ns) / 1e9 * 5000)


def test_it_samples_again_and_again_from_one_thread_and_leaves_the_monitor_open() -> None:
    monitor = Clock()
    with DeviceLog(monitor, interval_s=0.001) as log:
        wait_until(lambda: monitor.asked > 5)
    assert len(log.samples) == monitor.asked
    times = [sample.at_ns for sample in log.samples]
    assert times == sorted(times)
    assert len(monitor.askers) == 1
    assert threading.get_ident() not in monitor.askers
    assert not monitor.is_closed


def test_an_error_of_the_work_stops_the_thread_and_reaches_the_caller() -> None:
    monitor = Clock()
    with pytest.raises(KeyError), DeviceLog(monitor, interval_s=0.001):
        raise KeyError
    asked = monitor.asked
    time.sleep(0.02)
    assert monitor.asked == asked
    assert not any(thread.name == "device log" for thread in threading.enumerate())


def test_a_monitor_that_breaks_does_not_hang_the_work_and_is_told() -> None:
    with DeviceLog(Broken()) as log:
        pass
    assert log.samples == ()
    missing = log.device([FrameSpans(0, False, (), 0, 1)]).missing
    assert missing[-1].startswith("sensors: they failed after 0 samples: RuntimeError('a monitor")


def test_ctrl_c_before_the_first_sample_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    log = DeviceLog(Clock(), interval_s=0.001)
    monkeypatch.setattr(log._has_begun, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt), log:
        pass
    log._thread.join(10)
    assert not log._thread.is_alive()


def test_a_long_run_keeps_fewer_samples_over_its_whole_time() -> None:
    monitor = Clock()
    with DeviceLog(monitor, interval_s=1e-6, most_samples=8) as log:
        wait_until(lambda: monitor.asked > 40)
    assert len(log.samples) <= 8
    assert monitor.asked > 40
    spread = log.samples[-1].at_ns - log.samples[0].at_ns
    assert spread > 0


@pytest.mark.parametrize("count", [4, 5, 8, 9])
def test_thinning_out_keeps_the_ends_and_every_reason(count: int) -> None:
    samples = [sample_at(i, 1000.0 * i, throttled=(f"reason {i}",)) for i in range(count)]
    kept = _thin_out(samples)
    assert (kept[0].at_ns, kept[-1].at_ns) == (samples[0].at_ns, samples[-1].at_ns)
    assert len(kept) == count // 2 + 1
    reasons = [reason for sample in kept for reason in sample.throttled]
    assert reasons == [f"reason {i}" for i in range(count)]
