"""What is said once."""

from __future__ import annotations

import io
import sys

import pytest

from runtime.notices import notice_once


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
