"""Which parts of GStreamer there are, and what is said where one is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import gstreamer, gstreamer_process
from runtime.errors import SourceError
from runtime.gstreamer import find_elements, packages_of, require_elements

needs_gstreamer = pytest.mark.skipif(
    not find_elements(("videotestsrc", "appsink")),
    reason="needs the Debian package gstreamer1.0-plugins-base",
)


@needs_gstreamer
def test_elements_that_are_there_are_found() -> None:
    names = ("videotestsrc", "nosuchelement")
    assert find_elements(names) == {"videotestsrc"}
    assert find_elements(names) is find_elements(names)  # asked once


def test_without_gstreamer_no_element_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "child.py"
    script.write_text("import sys; sys.exit(1)")
    monkeypatch.setattr(gstreamer_process, "CHILD", script)
    assert find_elements(("videotestsrc", "once more")) == frozenset()


def test_a_missing_element_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer, "find_elements", lambda _names: frozenset({"appsink"}))
    with pytest.raises(
        SourceError, match=r"elements rtspsrc, .* apt install gstreamer1\.0-plugins-g"
    ):
        require_elements("gate", ("rtspsrc", "appsink"))
    require_elements("gate", ("appsink",))


def test_packages_are_named_once() -> None:
    assert packages_of(["rtspsrc", "rtph264depay"]) == "gstreamer1.0-plugins-good"
    assert packages_of(["avdec_h264", "h264parse"]) == "gstreamer1.0-libav gstreamer1.0-plugins-bad"
