"""The one way in which every command fails."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from runtime import errors
from runtime.atomic_file import write_text
from runtime.errors import CornerRTError, UsageError, run_command


def raiser(error: BaseException):
    def command() -> int:
        raise error

    return command


def test_the_status_of_a_good_command_is_its_own() -> None:
    assert run_command(lambda: 0) == 0
    assert run_command(lambda: 7) == 7


def test_an_expected_failure_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raiser(UsageError("got a\nline break;   expected none"))) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: got a line break; expected none\n"
    assert captured.out == ""


def test_a_file_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raiser(PermissionError(13, "Permission denied", "/root/x.mp4"))) == 2
    assert capsys.readouterr().err == "error: /root/x.mp4: Permission denied; use another path\n"


def test_a_rename_that_fails_is_told_by_the_final_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()

    def write() -> int:
        write_text(taken, "content")
        return 0

    assert run_command(write) == 2
    assert capsys.readouterr().err.startswith(f"error: {taken}: ")


def test_interrupting_is_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raiser(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_package_that_is_missing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raiser(ModuleNotFoundError("No module named 'onnx'", name="onnx"))) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: found no module onnx; expected ") and message.count("\n") == 1


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(raiser(ZeroDivisionError()))


def test_every_error_belongs_to_the_tree() -> None:
    classes = [
        c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__
    ]
    assert len(classes) > 5
    assert all(issubclass(c, CornerRTError) and c.__doc__ for c in classes)
