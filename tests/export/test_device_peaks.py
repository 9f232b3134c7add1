"""The table of devices: whole, consistent, and each figure with its source."""

from __future__ import annotations

import pytest

from export.device_peaks import DEVICES, find_device
from export.device_record import PRECISIONS, Evidence, is_called
from runtime.errors import UsageError

ASKED_FOR = (
    *("orin-nano", "orin-nano-super", "orin-nx", "agx-orin", "agx-orin-50w", "agx-orin-30w"),
    *("agx-orin-15w", "agx-thor", "xavier", "xavier-nx", "rtx-3060", "rtx-4090", "a10", "l4"),
    *("t4", "a100", "h100", "h200", "titan-x-pascal"),
)


def test_every_device_that_is_promised_is_there() -> None:
    assert set(ASKED_FOR) <= set(DEVICES)
    assert all(find_device(name).name == name for name in DEVICES)


@pytest.mark.parametrize("name", DEVICES)
def test_every_figure_is_positive_and_has_a_source(name: str) -> None:
    device = DEVICES[name]
    figures = [*device.tera_operations.values(), device.gigabytes_per_second]
    figures += [device.l2_mebibytes] if device.l2_mebibytes else []
    assert all(figure.value > 0 and len(figure.source) > 10 for figure in figures)
    assert {f.evidence for f in figures} <= {
        Evidence.PUBLISHED,
        Evidence.DERIVED,
        Evidence.UNVERIFIED,
    }
    assert set(device.tera_operations) <= set(PRECISIONS) and "fp32" in device.tera_operations


@pytest.mark.parametrize("name", DEVICES)
def test_fewer_bits_are_never_slower_and_never_sparse(name: str) -> None:
    peaks = {key: figure.value for key, figure in DEVICES[name].tera_operations.items()}
    assert peaks["fp32"] <= peaks.get("tf32", peaks["fp32"])
    assert peaks.get("bf16", 0) <= peaks.get("fp16", float("inf"))
    if "fp16" in peaks and "int8" in peaks:  # dense INT8 is twice FP16; sparse would be four times
        assert peaks["int8"] == pytest.approx(2 * peaks["fp16"], rel=0.01)


@pytest.mark.parametrize(
    ("name", "precision", "published"),
    [
        # GPU alone, half of the sparse figure of the document named in the table
        ("agx-orin", "int8", 171 / 2),
        ("agx-orin", "fp32", 5.3),
        ("agx-orin-50w", "int8", 109 / 2),
        ("agx-orin-30w", "int8", 41 / 2),
        ("orin-nano", "int8", 40 / 2),
        ("orin-nano-super", "int8", 67 / 2),
        ("xavier", "fp16", 11),
        ("xavier", "int8", 22),
        ("a10", "fp32", 31.2),
        ("a10", "fp16", 125),
        ("rtx-3060", "fp16", 101 / 2),
        ("agx-thor", "fp16", 2070 / 8),
    ],
)
def test_derived_peaks_meet_the_published_ones(name: str, precision: str, published: float) -> None:
    assert DEVICES[name].tera_operations[precision].value == pytest.approx(published, rel=0.03)


def test_what_a_device_lacks_is_absent() -> None:
    assert set(DEVICES["titan-x-pascal"].tera_operations) == {"fp32", "int8"}
    assert "bf16" not in DEVICES["xavier"].tera_operations
    assert "tf32" not in DEVICES["t4"].tera_operations


def test_devices_know_their_drivers_names() -> None:
    assert is_called(DEVICES["h200"], "NVIDIA H200")
    assert is_called(DEVICES["rtx-3060"], "NVIDIA GeForce RTX 3060")
    assert is_called(DEVICES["orin-nano"], "NVIDIA Jetson Orin Nano Developer Kit")
    assert not is_called(DEVICES["agx-orin"], "NVIDIA Jetson Orin Nano Developer Kit")


def test_an_unknown_device_gets_the_list() -> None:
    with pytest.raises(UsageError, match=r"unknown device 'jetson'.*orin-nano, .*titan-x-pascal"):
        find_device("jetson")
