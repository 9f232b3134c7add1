"""Numbers from files that come and go."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runtime.sysfs_files import Gauge, fault_of, find_paths, read_number, read_text
from tests.fakes.devices import close_files


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"47750\n", 47750),
        (b"-256000", -256000),
        (b"32760 ma\n", 32760),
        (b"0", 0),
        (b"", None),
        (b"\n", None),
        (b"N/A", None),
        (b"4.5", None),
        (b"\xff\xfe\x00", None),
        (b"9" * 5000, None),
    ],
)
def test_a_number_is_what_the_file_starts_with(
    tmp_path: Path, content: bytes, value: int | None
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_number(tmp_path / "file") == value


def test_a_gauge_scales_and_refuses_what_cannot_be(tmp_path: Path) -> None:
    gauge = Gauge(tmp_path / "temp", 1e-3, -55.0, 200.0)
    for text, value in [("47750", 47.75), ("200000", 200.0), ("200001", None), ("-256000", None)]:
        gauge.path.write_text(text)
        assert gauge.read() == value


def test_a_file_that_vanishes_between_readings_is_no_reading(tmp_path: Path) -> None:
    gauge = Gauge(tmp_path / "temp", 1.0, 0.0, 9.0)
    gauge.path.write_text("7")
    assert gauge.read() == 7.0
    gauge.path.unlink()
    assert gauge.read() is None
    gauge.path.mkdir()
    assert gauge.read() is None


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENODEV, errno.EIO])
def test_a_sensor_that_answers_with_an_error_is_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "temp").write_text("1")

    def refuse(_handle: int, _size: int) -> bytes:
        raise OSError(number, os.strerror(number))

    handles = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "read", refuse)
    assert read_text(tmp_path / "temp") is None
    monkeypatch.undo()
    assert set(os.listdir("/proc/self/fd")) == handles  # closed again


def test_a_named_pipe_without_a_writer_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_text(tmp_path / "pipe") == ""


def test_text_loses_blanks_and_the_nul_of_a_device_tree(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson\0\n")
    assert read_text(tmp_path / "model") == "NVIDIA Jetson"


def test_a_fault_says_what_keeps_a_file_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").write_text("1")
    (tmp_path / "root").write_text("1")
    close_files(monkeypatch, tmp_path / "root")
    assert fault_of(tmp_path / "open") == ""
    assert fault_of(tmp_path / "root") == "no permission"
    assert fault_of(tmp_path / "absent") == "not there"
    assert fault_of(tmp_path / "open/below") == "not there"


def test_paths_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100, 1):
        (tmp_path / f"zone{number}").mkdir()
    names = [path.name for path in find_paths(tmp_path, "zone*")]
    assert names == ["zone1", "zone9", "zone10", "zone100"]
    assert list(find_paths(tmp_path / "absent", "*")) == []


def test_a_folder_closed_to_this_user_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path, _pattern: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", refuse)
    assert list(find_paths(tmp_path, "*")) == []
