"""GStreamer's C library: what is declared is there, and its absence is one error."""

from __future__ import annotations

import ctypes

import pytest

from runtime.gstreamer import find_elements
from runtime.gstreamer_library import GError, MapInfo, Value, load_gstreamer

needs_gstreamer = pytest.mark.skipif(
    not find_elements(("appsink",)), reason="needs the Debian package gstreamer1.0-plugins-base"
)


@needs_gstreamer
def test_every_function_is_there_and_an_error_can_be_read() -> None:
    gstreamer = load_gstreamer()
    error = ctypes.POINTER(GError)()
    gstreamer.gst_parse_launch(b"nosuchelement", ctypes.byref(error))
    assert error.contents.message == b'no element "nosuchelement"'
    assert gstreamer.g_quark_to_string(error.contents.domain) == b"gst_parse_error"


def test_structures_have_the_sizes_of_the_c_header() -> None:
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert ctypes.sizeof(GError) == 8 + pointer
    assert ctypes.sizeof(MapInfo) == 13 * pointer
    assert ctypes.sizeof(Value) == pointer + 16


def test_without_the_library_it_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(OSError, match=r"libgstapp-1\.0\.so\.0"):
        load_gstreamer()
