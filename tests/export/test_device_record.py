"""Peaks of the user's own device, measured ceilings, and files that hold neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.device_record import Evidence, is_called, read_device, with_ceilings
from runtime.errors import UsageError
from tests.export.rooflines import PEAKS, plain_device

CEILINGS = {
    "format": "cornerrt-ceilings-1",
    "device": "NVIDIA Plain Board",
    "source": "a benchmark, 2026-11-22",
    "tera_operations": {"fp16": 1.5},
    "gigabytes_per_second": 0.8,
}


def written(folder: Path, content: object) -> Path:
    path = folder / "file.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_device_of_the_users(tmp_path: Path) -> None:
    device = read_device(written(tmp_path, PEAKS))
    assert (device.name, device.title, device.mode) == ("custom", "Example board", "one clock")
    assert list(device.tera_operations) == ["fp32", "fp16", "int8"]
    assert device.operations_per_second("int8") == 4e12 and device.bytes_per_second == 1e9
    assert device.gigabytes_per_second.evidence is Evidence.USER
    assert device.l2_bytes is None
    with_cache = read_device(written(tmp_path, PEAKS | {"l2_mebibytes": 2}))
    assert with_cache.l2_bytes == 2 * 2**20


def test_a_precision_that_the_device_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"plain has no bf16 arithmetic.*it has fp32, fp16, int8"):
        plain_device().operations_per_second("bf16")


def test_measured_ceilings_take_the_place_of_the_datasheets(tmp_path: Path) -> None:
    device = with_ceilings(plain_device(), written(tmp_path, CEILINGS))
    assert device.operations_per_second("fp16") == 1.5e12
    assert device.operations_per_second("fp32") == 1e12  # not measured: as it was
    assert device.bytes_per_second == 0.8e9
    assert device.tera_operations["fp16"].evidence is Evidence.MEASURED
    assert "a benchmark, 2026-11-22" in device.mode


def test_ceilings_of_another_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ceilings of 'Other GPU'; expected Plain board"):
        with_ceilings(plain_device(), written(tmp_path, CEILINGS | {"device": "Other GPU"}))


def test_names_are_compared_whatever_their_case() -> None:
    assert is_called(plain_device(), "nvidia plain (rev 2)")
    assert not is_called(plain_device(), "fancy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no valid JSON"),
        ([1], "has the format None; expected 'cornerrt-peaks-1'"),
        (PEAKS | {"format": "cornerrt-peaks-2"}, "has the format 'cornerrt-peaks-2'"),
        ({k: v for k, v in PEAKS.items() if k != "title"}, "lacks key 'title'"),
        (PEAKS | {"speed": 1}, "unknown key 'speed'"),
        (PEAKS | {"gigabytes_per_second": "fast"}, "'fast'; expected float"),
        (PEAKS | {"gigabytes_per_second": 0}, "gigabytes_per_second 0; expected a number above 0"),
        (PEAKS | {"l2_mebibytes": -1}, "l2_mebibytes -1; expected a number above 0"),
        (PEAKS | {"tera_operations": {"fp16": 1}}, "no tera_operations:fp32"),
        (PEAKS | {"tera_operations": {"fp4": 1}}, "tera_operations of fp4; expected some of fp32"),
    ],
)
def test_a_file_that_is_not_right_is_one_line(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_device(written(tmp_path, content))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        read_device(tmp_path / "none.json")
