"""What is said once."""

from __future__ import annotations

import pytest

from runtime.notices import notice_once


def test_the_same_notice_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    notice_once.cache_clear()
    for text in ("a", "b", "a"):
        notice_once(text)
    assert capsys.readouterr() == ("", "notice: a\nnotice: b\n")
