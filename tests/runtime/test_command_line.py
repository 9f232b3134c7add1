"""The parser and the checks that all commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from runtime.command_line import CommandParser, check_output, count, positive, seed, thread_count
from runtime.errors import UsageError


def test_a_complaint_is_one_error_that_names_the_help() -> None:
    parser = CommandParser(prog="python -m tool")
    parser.add_argument("--size", type=int)
    with pytest.raises(UsageError, match=r"argument --size: .*; see: python -m tool --help"):
        parser.parse_args(["--size", "big"])


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (count, "0", 0),
        (positive, "1", 1),
        (seed, "0", 0),
        (seed, str(2**63 - 1), 2**63 - 1),
        (thread_count, "0", 0),
        (thread_count, "1024", 1024),
    ],
)
def test_the_smallest_and_largest_numbers_are_taken(convert, text: str, value: int) -> None:
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (count, "-1"),
        (count, "1.5"),
        (positive, "0"),
        (positive, ""),
        (seed, "-1"),
        (seed, str(2**63)),
        (seed, "nan"),
        (thread_count, "-1"),
        (thread_count, "1025"),
    ],
)
def test_other_numbers_are_refused(convert, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"got '{text}'; expected a whole number"):
        convert(text)


def test_a_good_output_gets_its_folder_and_nothing_else(tmp_path: Path) -> None:
    check_output("--out", tmp_path / "new" / "model.ONNX", ".onnx")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


def test_an_existing_output_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")
    check_output("--out", path, ".onnx")
    assert path.read_text() == "old"


def test_a_device_or_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(UsageError, match=r"--out got .*pipe\.onnx, a device or pipe; expected"):
        check_output("--out", tmp_path / "pipe.onnx", ".onnx")
    with pytest.raises(UsageError, match="a device or pipe"):
        check_output("--out", Path(os.devnull))


def test_bad_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--out got .*a\.txt; expected a name that ends"):
        check_output("--out", tmp_path / "a.txt", ".onnx")
    with pytest.raises(UsageError, match=r"--out got .*folder\.onnx, a folder; expected a file"):
        check_output("--out", tmp_path / "folder.onnx", ".onnx")
    with pytest.raises(UsageError, match=r"--json cannot write in .*file .*; choose"):
        check_output("--json", tmp_path / "file" / "a.json")


def test_the_contract_of_a_model_is_no_output(tmp_path: Path) -> None:
    contract, other = tmp_path / "model.onnx.json", tmp_path / "clip.mp4.json"
    contract.write_text('{\n "format": "cornerrt-contract-1",\n "name": "tiny"\n}\n')
    other.write_text('{"format": "cornerrt-stream-1"}')
    with pytest.raises(UsageError, match=r"--out got .*, the contract of model\.onnx; expected an"):
        check_output("--out", contract, ".json")
    check_output("--out", other, ".json")
    check_output("--out", tmp_path / "new.onnx.json", ".json")
