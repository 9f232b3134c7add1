"""Progress shows on a terminal alone, and goes on where an earlier run was."""

from __future__ import annotations

import io
import sys

import pytest

from calibration.progress import progress_bar


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_it_begins_behind_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(8, done=6) as bar:
        bar.update()
        assert (bar.n, bar.total) == (7, 8)
    assert "observing" in sys.stderr.getvalue() and "6/8" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_an_unknown_number_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(None, "searching", "trial"):
        pass
    assert "searching: 0trial" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_file_stays_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(3) as bar:
        bar.update()
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
