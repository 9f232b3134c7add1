"""The choice of what receives and decodes a network camera."""

from __future__ import annotations

import pytest

from runtime import camera_network
from runtime.camera_network import open_mjpeg, open_rtsp
from runtime.credentials import NetworkAddress
from runtime.errors import UsageError
from tests.fakes.mjpeg_server import MjpegServer, jpeg, steady
from tests.fakes.source_options import source_options

OPTIONS = source_options(stall_timeout=20.0)


@pytest.mark.parametrize("has_gstreamer", [True, False])
def test_gstreamer_is_taken_where_it_is(
    monkeypatch: pytest.MonkeyPatch, has_gstreamer: bool
) -> None:
    opened: list[tuple[str, NetworkAddress, str]] = []

    def opener(kind: str):  # type: ignore[no-untyped-def]
        def open_source(*arguments: object) -> str:
            first, second = arguments[:2]
            camera = first if isinstance(first, NetworkAddress) else second
            assert isinstance(camera, NetworkAddress)
            opened.append((kind, camera, str(second if camera is first else first)))
            return kind

        return open_source

    monkeypatch.setenv("CAMERA_PASSWORD", "a/b")
    monkeypatch.setattr(camera_network, "can_open_rtsp", lambda: has_gstreamer)
    monkeypatch.setattr(camera_network, "open_rtsp_gstreamer", opener("gstreamer"))
    monkeypatch.setattr(camera_network, "FfmpegSource", opener("ffmpeg"))
    open_rtsp("rtsp://u:${CAMERA_PASSWORD}@host/x", "gate", OPTIONS)
    ((kind, camera, name),) = opened
    assert kind == ("gstreamer" if has_gstreamer else "ffmpeg")
    assert (camera.location, camera.password, name) == ("rtsp://host/x", "a/b", "gate")


def test_mjpeg_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with MjpegServer(steady([jpeg(100)] * 5)) as server:
        monkeypatch.setenv("CAMERA_PORT", str(server.port))
        source = open_mjpeg("http://127.0.0.1:${CAMERA_PORT}/video", "gate", OPTIONS)
        frame = source.read()
        source.close()
    assert frame is not None and frame.source == "gate"
    assert source.name == "gate"


@pytest.mark.parametrize("open_camera", [open_rtsp, open_mjpeg])
@pytest.mark.parametrize("address", ["rtsp://u:geheim@", "rtsp://u:${NOT_SET_ANYWHERE}@host/x"])
def test_a_malformed_address_is_a_usage_error(open_camera, address: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError) as caught:
        open_camera(address, "gate", OPTIONS)
    assert "geheim" not in str(caught.value)
