"""RTSP cameras through GStreamer, against a real server that is killed, frozen and changed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from runtime import camera_gstreamer
from runtime.camera_gstreamer import (
    GStreamerSource,
    can_open_rtsp,
    csi_pipeline,
    describe_decoder,
    open_csi,
    open_rtsp_gstreamer,
    rtsp_pipeline,
)
from runtime.credentials import parse_address
from runtime.errors import SourceError
from runtime.gstreamer import find_elements
from runtime.gstreamer_process import GStreamerFailure, PipelineRequest
from runtime.sources import Source
from tests.fakes import rtsp_server
from tests.fakes.rtsp_proxy import FlippingProxy
from tests.fakes.rtsp_server import RtspServer, RtspServerOptions
from tests.fakes.source_options import source_options

needs_gstreamer = pytest.mark.skipif(
    not can_open_rtsp(),
    reason="needs the Debian packages gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad and "
    "gstreamer1.0-libav",
)
needs_server = pytest.mark.skipif(
    not (can_open_rtsp() and rtsp_server.is_available()), reason=rtsp_server.MISSING_PACKAGES
)
PATIENT = source_options(stall_timeout=15.0)  # where no silence is expected
SHORT = source_options(stall_timeout=1.0)


@contextlib.contextmanager
def connected(address: str, options: object = PATIENT) -> Iterator[Source]:
    source = open_rtsp_gstreamer(parse_address(address), "gate", options)  # type: ignore[arg-type]
    try:
        yield source
    finally:
        source.close()


def read_until(source: Source, is_reached: Callable[[object], bool], frames: int = 300) -> bool:
    """Read until a picture is as wanted, but not for ever."""
    return any(is_reached(source.read()) for _ in range(frames))


@needs_server
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_pictures_arrive(codec: str) -> None:
    if codec == "h265" and not find_elements(("x265enc",)):
        pytest.skip("needs the Debian package gstreamer1.0-plugins-bad with x265enc")
    with RtspServer(RtspServerOptions(codec=codec, rate=25)) as server:
        with connected(server.address) as source:
            frames = [source.read() for _ in range(5)]
            assert source.frame_rate == 25
            assert source.is_live
            assert source.stall_timeout_s == 15
            assert source.decoder.startswith("GStreamer ")
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert all(frame.image.shape == (240, 320, 3) for frame in frames)
    assert all(frame.source == "gate" for frame in frames)
    assert frames[0].captured_ns < frames[4].captured_ns <= time.monotonic_ns()
    assert frames[0].image.std() > 5  # a white ball on black, not an empty picture


@needs_server
def test_a_camera_with_sound_works() -> None:
    with RtspServer(RtspServerOptions(audio=True)) as server:
        with connected(server.address) as source:
            assert source.read().image.shape == (240, 320, 3)


@needs_server
@pytest.mark.parametrize("digest", [True, False])
def test_a_password_with_every_kind_of_letter_is_accepted(digest: bool) -> None:
    password = 'p@s/s:"w! #o?r%d'
    wanted = RtspServerOptions(user="us er", password=password, digest=digest)
    with RtspServer(wanted) as server:
        login = f"{quote('us er')}:{quote(password, safe='')}@"
        with connected(server.address_with(login)) as source:
            assert source.read().image.shape == (240, 320, 3)


@needs_server
@pytest.mark.parametrize("login", ["admin:geheim@", ""])
def test_a_wrong_or_missing_password_is_one_clear_line_without_it(login: str) -> None:
    with RtspServer(RtspServerOptions(user="admin", password="right")) as server:
        with pytest.raises(
            SourceError, match=r"gate failed: Unauthorized .* check user and pass"
        ) as caught:
            open_rtsp_gstreamer(parse_address(server.address_with(login)), "gate", PATIENT)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_server
def test_a_wrong_path_is_one_clear_line() -> None:
    with RtspServer() as server:
        address = server.address.replace("/video", "/nothing")
        with pytest.raises(SourceError, match=r"gate failed: Not found .*; check the path"):
            open_rtsp_gstreamer(parse_address(address), "gate", PATIENT)


@needs_gstreamer
@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-camera.invalid"])
def test_a_camera_that_is_not_there_is_one_clear_line(host: str) -> None:
    address = parse_address(f"rtsp://u:geheim@{host}/x")
    with pytest.raises(
        SourceError, match=r"gate failed: .* connect.*; check that the camera"
    ) as caught:
        open_rtsp_gstreamer(address, "gate", PATIENT)
    assert "geheim" not in str(caught.value)


@needs_server
def test_a_server_that_is_killed_is_noticed_and_found_again() -> None:
    with RtspServer() as server:
        for _ in range(3):
            with connected(server.address) as source:
                source.read()
                server.kill()
                started = time.monotonic()
                with pytest.raises(SourceError, match=r"gate failed: .*; expected an RTSP stream"):
                    while True:
                        source.read()
                assert time.monotonic() - started < 10  # not only after the stall timeout
            server.start()


@needs_server
def test_a_frozen_server_is_a_stall() -> None:
    with RtspServer() as server:
        with connected(server.address, SHORT) as source:
            source.read()
            server.freeze()
            with pytest.raises(SourceError, match="gate delivered no picture for 1 s after"):
                while True:
                    source.read()


@needs_server
def test_a_server_that_is_frozen_from_the_start_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera_gstreamer, "FIRST_PICTURE_S", 1.0)
    with RtspServer() as server:
        server.freeze()
        with pytest.raises(SourceError, match=r"gate delivered no picture|gate failed"):
            open_rtsp_gstreamer(parse_address(server.address), "gate", SHORT)


@needs_server
def test_a_change_of_size_gives_pictures_of_the_new_size() -> None:
    with RtspServer() as server:
        with connected(server.address) as source:
            source.read()
            for width, height in ((640, 480), (162, 122)):
                server.change_size(width, height)
                assert read_until(source, lambda f, hw=(height, width): f.image.shape[:2] == hw)


@needs_server
def test_who_joins_between_key_frames_sees_no_half_decoded_picture() -> None:
    with RtspServer(RtspServerOptions(pattern="smpte", key_distance=40)) as server:
        with connected(server.address) as first:
            expected = [first.read().image for _ in range(10)][-1][:150].astype(int)
            with connected(server.address) as second:
                for _ in range(10):
                    seen = second.read().image[:150].astype(int)
                    assert abs(seen - expected).mean() < 5  # a grey picture: more than 100


@needs_server
@pytest.mark.parametrize("share", [0.05, 1.0])
def test_flipped_bits_end_in_pictures_or_one_error_and_then_it_goes_on(share: float) -> None:
    with RtspServer() as server, FlippingProxy(server.port, 0.0) as proxy:
        address = f"rtsp://127.0.0.1:{proxy.port}/video"
        with connected(address, SHORT) as source:
            source.read()
            proxy.share = share
            deadline = time.monotonic() + 1.2
            with contextlib.suppress(SourceError):
                while time.monotonic() < deadline:
                    frame = source.read()
                    assert frame.image.ndim == 3 and frame.image.shape[2] == 3
        assert proxy.flipped > 0
        proxy.share = 0.0
        with connected(address) as source:
            assert source.read().image.shape == (240, 320, 3)


@needs_gstreamer
def test_a_failure_while_opening_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Process(camera_gstreamer.GStreamerProcess):
        def __init__(self, request: PipelineRequest) -> None:
            super().__init__(request)
            started.append(self._child)

    monkeypatch.setattr(camera_gstreamer, "GStreamerProcess", Process)
    with pytest.raises(SourceError):
        open_rtsp_gstreamer(parse_address("rtsp://127.0.0.1:1/x"), "gate", PATIENT)
    assert started[0].returncode is not None


def test_what_gstreamer_says_is_scrubbed() -> None:
    camera = parse_address("rtsp://admin:geheim@host/x")
    failure = GStreamerFailure("lost\nrtsp://admin:geheim@host.", detail="tried geheim")
    line = camera_gstreamer._explain_rtsp("gate", camera, failure)
    assert "geheim" not in line and "\n" not in line
    assert line.startswith("gate failed: lost rtsp://admin:***@host (tried ***); expected")


def test_the_rtsp_pipeline_has_what_was_asked_for() -> None:
    options = source_options(latency_ms=250, stall_timeout=4.0)
    pipeline = rtsp_pipeline(options, "videoconvert")
    assert "protocols=tcp latency=250 tcp-timeout=4000000 " in pipeline
    assert "videoconvert ! video/x-raw,format=BGR ! appsink" in pipeline
    assert "nvvidconv ! video/x-raw,format=BGRx ! appsink" in rtsp_pipeline(options, "nvvidconv")


def test_the_csi_pipeline_asks_for_size_and_rate() -> None:
    assert "sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12 ! nvvidconv ! " in csi_pipeline(
        1, source_options()
    )
    asked = source_options(camera_size=(720, 1280), camera_fps=29.97)
    assert "NV12,width=1280,height=720,framerate=2997/100 ! " in csi_pipeline(0, asked)


@needs_gstreamer
def test_csi_without_a_jetson_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_elements(("nvarguscamerasrc",)):
        pytest.skip("this is a Jetson")
    with pytest.raises(
        SourceError, match=r"csi://0 needs .*nvarguscamerasrc.*nvidia-l4t-gstreamer"
    ):
        open_csi(0, "csi://0", PATIENT)


@needs_gstreamer
def test_csi_pictures_of_four_channels_lose_the_fourth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_gstreamer, "require_elements", lambda *_: None)
    monkeypatch.setattr(
        camera_gstreamer,
        "csi_pipeline",
        lambda *_: (
            "videotestsrc pattern=red ! video/x-raw,format=BGRx,framerate=0/1 ! "
            "appsink name=frames max-buffers=1 drop=true sync=false"
        ),
    )
    source = open_csi(0, "csi://0", PATIENT)
    frame = source.read()
    source.close()
    assert (frame.image == (0, 0, 255)).all() and frame.image.shape[2] == 3
    assert source.frame_rate == 30  # stated is 0: unknown
    assert isinstance(source, GStreamerSource) and source.decoder == "GStreamer (uncompressed)"


@needs_gstreamer
def test_a_csi_failure_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_gstreamer, "require_elements", lambda *_: None)
    monkeypatch.setattr(
        camera_gstreamer, "csi_pipeline", lambda *_: "fakesrc num-buffers=0 ! appsink name=frames"
    )
    with pytest.raises(SourceError, match=r"csi://3 failed: .* sensor 3 .* nvargus-daemon"):
        open_csi(3, "csi://3", PATIENT)


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ("nvv4l2decoder", "GStreamer hardware (nvv4l2decoder)"),
        ("avdec_h264", "GStreamer software (avdec_h264)"),
    ],
)
def test_the_decoder_is_described(element: str, said: str) -> None:
    assert describe_decoder(element) == said


def test_rtsp_needs_all_elements_and_one_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    found = frozenset(camera_gstreamer.RTSP_ELEMENTS)
    for extra, is_enough in (({"avdec_h264"}, True), ({"nvv4l2decoder"}, True), (set(), False)):
        monkeypatch.setattr(camera_gstreamer, "find_elements", lambda _n, e=extra: found | e)
        assert can_open_rtsp() is is_enough
    monkeypatch.setattr(camera_gstreamer, "find_elements", lambda _names: frozenset())
    assert not can_open_rtsp()
