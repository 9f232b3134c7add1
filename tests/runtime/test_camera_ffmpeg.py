"""RTSP through OpenCV's FFmpeg: behind a fake capture, and against a real server."""

from __future__ import annotations

import time

import cv2
import pytest

from runtime.camera_ffmpeg import FfmpegSource
from runtime.credentials import parse_address
from runtime.errors import SourceError
from tests.builders import picture
from tests.fakes import rtsp_server
from tests.fakes.rtsp_server import RtspServer, RtspServerOptions
from tests.fakes.sources import FakeCapture

ADDRESS = parse_address("rtsp://admin:geheim@10.0.0.5/x")
needs_server = pytest.mark.skipif(
    not rtsp_server.is_available(), reason=rtsp_server.MISSING_PACKAGES
)
needs_ffmpeg = pytest.mark.skipif(
    cv2.CAP_FFMPEG not in cv2.videoio_registry.getStreamBackends(),
    reason="needs an OpenCV with FFmpeg, such as the package opencv-python-headless",
)


def source_of(capture: FakeCapture, patience_s: float = 5.0) -> FfmpegSource:
    return FfmpegSource("gate", ADDRESS, patience_s, lambda *_: capture)


def test_pictures_are_numbered_and_timed() -> None:
    source = source_of(FakeCapture([picture(), picture(96, 128)], frame_rate=12.5))
    first, second = source.read(), source.read()
    assert (first.sequence, second.sequence) == (0, 1)
    assert second.image.shape == (96, 128, 3)
    assert 0 < first.captured_ns <= second.captured_ns
    assert source.frame_rate == 12.5
    assert source.is_live and source.decoder == "OpenCV software (FFmpeg)"


def test_a_camera_that_does_not_open_is_one_line_and_released() -> None:
    capture = FakeCapture(opened=False)
    with pytest.raises(SourceError, match="gate does not open; expected an RTSP stream") as caught:
        source_of(capture)
    assert capture.released
    assert "geheim" not in str(caught.value)


def test_a_failed_read_is_the_end_and_a_late_one_a_stall() -> None:
    with pytest.raises(SourceError, match="gate ended the stream; expected"):
        source_of(FakeCapture([None])).read()

    class Slow(FakeCapture):
        def read(self):  # type: ignore[no-untyped-def]
            time.sleep(0.1)
            return super().read()

    with pytest.raises(SourceError, match=r"gate delivered no picture for 0\.1 s after 0"):
        source_of(Slow([None]), 0.1).read()


def test_closing_releases_the_capture() -> None:
    capture = FakeCapture()
    source_of(capture).close()
    assert capture.released


@pytest.mark.slow
@needs_server
@needs_ffmpeg
def test_a_real_server_with_a_password_that_is_frozen_and_killed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with RtspServer(RtspServerOptions(user="admin", password="p:@/")) as server:
        good = parse_address(server.address_with("admin:p%3A%40%2F@"))
        source = FfmpegSource("gate", good, 1.0)
        frame = source.read()
        assert frame.image.shape == (240, 320, 3)
        assert frame.image.std() > 5
        server.freeze()
        with pytest.raises(SourceError, match="gate delivered no picture for 1 s"):
            while True:
                source.read()
        source.close()
        server.thaw()
        with pytest.raises(SourceError, match="gate does not open"):
            FfmpegSource("gate", parse_address(server.address_with("admin:geheim@")), 1.0)
        source = FfmpegSource("gate", good, 5.0)
        server.kill()
        with pytest.raises(SourceError, match="gate ended the stream"):
            while True:
                source.read()
        source.close()
    assert "geheim" not in capfd.readouterr().err
