"""Lines for a terminal."""

from __future__ import annotations

from runtime.device_samples import DeviceSample
from runtime.device_table import COLUMNS, format_header, format_sample
from tests.fakes.device_monitor import FakeMonitor, sample_at


def test_a_full_sample() -> None:
    sample = DeviceSample(
        3_500_000_000,
        {"VDD_IN": 12_345.0, "VDD_SOC": 1.0},
        {"cpu": 40.0, "tj": 51.26},
        {"gpu": 612.0, "emc": 3199.0, "cpu0": 729.6, "cpu4": 1728.0},
        {"gpu": 0.62, "emc": 0.2},
        ("gpu-throttle-alert", "over-current 3"),
    )
    line = format_sample(sample, 1_000_000_000, "VDD_IN")
    assert line.split()[:4] == ["2.5", "12.35", "51.3", "C"]
    assert line.split()[4:12] == "62% 612 MHz 20% 3199 MHz 1728 MHz".split()
    assert line.endswith("  gpu-throttle-alert, over-current 3")


def test_what_is_unknown_is_a_dash_and_never_a_zero() -> None:
    line = format_sample(DeviceSample(0), 0, None)
    assert line.split() == "0.0 - - C -% - MHz -% - MHz - MHz -".split()


def test_a_gpus_own_memory_stands_in_the_same_column() -> None:
    sample = DeviceSample(0, clocks_mhz={"memory": 3201.0}, loads={"memory": 0.12})
    assert "12%  3201 MHz" in format_sample(sample, 0, None)


def test_values_stand_under_their_headings() -> None:
    sample = DeviceSample(0, {"A": 1e5}, {"tj": 50.0}, {"gpu": 1980.0}, {"gpu": 1.0}, ("x",))
    line = format_sample(sample, 0, "A")
    assert line.index("x") == COLUMNS.index("throttled")
    assert line.rindex("C") + 1 == COLUMNS.index("hottest") + len("hottest")
    assert line.index("100% ") == COLUMNS.index("GPU")


def test_the_header_says_what_is_read_and_what_is_not() -> None:
    lines = format_header(FakeMonitor([sample_at(0)]))
    assert lines == [
        "Fake Jetson, power mode 15W",
        "watts: VDD_IN",
        "missing: memory load: not there",
        COLUMNS,
    ]


def test_a_device_without_modes_or_power_has_a_shorter_header() -> None:
    monitor = FakeMonitor([sample_at(0)], total_rail=None)
    monitor.power_mode, monitor.missing = "", ()
    assert format_header(monitor) == ["Fake Jetson", COLUMNS]
