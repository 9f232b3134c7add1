"""What is said once."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.notices import notice_once, print_last

ROOT = Path(__file__).parents[2]


def test_the_same_notice_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    notice_once.cache_clear()
    for text in ("a", "b", "a"):
        notice_once(text)
    assert capsys.readouterr() == ("", "notice: a\nnotice: b\n")


def test_a_log_that_nobody_reads_any_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    notice_once("the disk is nearly full")


def test_the_last_words_may_go_unread() -> None:
    code = "from runtime.notices import print_last; print_last('x' * 100_000)"
    command = (
        f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} | true; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_last_words_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_last("50 frames")
    assert capsys.readouterr().out == "50 frames\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_the_last_words_that_found_no_room_are_an_error() -> None:
    code = "from runtime.notices import print_last; print_last('50 frames')"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
