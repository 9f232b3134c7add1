"""V4L2 cameras, behind a fake capture."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import camera_v4l2, notices
from runtime.camera_v4l2 import CameraSource, CaptureOptions, device_path
from runtime.errors import SourceError
from tests.builders import picture
from tests.fakes.sources import FakeCapture

HD = (720, 1280)
WIDTH, HEIGHT, FPS, FOURCC = (
    cv2.CAP_PROP_FRAME_WIDTH,
    cv2.CAP_PROP_FRAME_HEIGHT,
    cv2.CAP_PROP_FPS,
    cv2.CAP_PROP_FOURCC,
)
MJPG = cv2.VideoWriter.fourcc(*"MJPG")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")


@pytest.fixture(autouse=True)
def forget_notices() -> None:
    notices.notice_once.cache_clear()


def camera(capture: FakeCapture, stall_timeout_s: float = 0.05) -> CameraSource:
    return configured(capture, CaptureOptions(stall_timeout_s=stall_timeout_s))


def configured(capture: FakeCapture, options: CaptureOptions) -> CameraSource:
    return CameraSource("0", options, open_capture=lambda _device: capture)


def plugged(device: Path, capture: FakeCapture, stall_timeout_s: float) -> CameraSource:
    """Return a camera whose node is a file, so that a test can take it away."""
    device.touch()
    options = CaptureOptions(stall_timeout_s=stall_timeout_s)
    return CameraSource(str(device), options, open_capture=lambda _device: capture)


def test_frames_are_numbered_and_timed() -> None:
    source = camera(FakeCapture([picture(), picture()]))
    first, second = source.read(), source.read()
    assert (first.sequence, second.sequence) == (0, 1)
    assert first.source == "camera 0"
    assert 0 < first.captured_ns <= second.captured_ns
    assert source.is_live
    assert source.stall_timeout_s == 0.05


def test_single_failed_reads_are_forgiven() -> None:
    empty = np.zeros((0, 0, 3), np.uint8)
    source = camera(FakeCapture([None, empty, None, picture()]), stall_timeout_s=5)
    assert source.read().sequence == 0


def test_a_camera_that_stops_delivering_is_an_error() -> None:
    source = camera(FakeCapture([picture()]))
    source.read()
    with pytest.raises(SourceError, match=r"camera 0 delivered no picture for 0\.05 s after 1 pic"):
        source.read()


def test_a_grey_camera_delivers_bgr() -> None:
    source = camera(FakeCapture([picture()[:, :, 0]]))
    assert source.read().image.shape == (48, 64, 3)


def test_a_camera_may_change_its_size() -> None:
    source = camera(FakeCapture([picture(48, 64), picture(96, 128)]))
    assert [source.read().image.shape[0] for _ in range(2)] == [48, 96]


def test_a_camera_that_does_not_open_is_an_error() -> None:
    with pytest.raises(SourceError, match="camera 0 does not open; expected"):
        camera(FakeCapture(opened=False))


@pytest.mark.parametrize("device", ["97", "/dev/video97"])
def test_a_camera_that_does_not_exist_is_named(
    device: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceError, match=rf"camera {device} does not exist \(/dev/video97\)"):
        CameraSource(device)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["/dev/video1", "/dev/video0"], "one of: /dev/video0, /dev/video1; see"),
        ([], "a camera, and this machine has none; see"),
    ],
)
def test_a_camera_that_does_not_exist_names_those_that_do(
    monkeypatch: pytest.MonkeyPatch, present: list[str], expected: str
) -> None:
    monkeypatch.setattr(camera_v4l2.glob, "glob", lambda _: present)
    with pytest.raises(SourceError, match=f"expected {expected}"):
        CameraSource("97")


@pytest.mark.parametrize(
    ("stated", "used"), [(25, 25), (0, 30), (float("nan"), 30), (90_000, 30), (-1, 30)]
)
def test_a_senseless_frame_rate_is_replaced(stated: float, used: float) -> None:
    assert camera(FakeCapture(frame_rate=stated)).frame_rate == used


def test_closing_releases_the_device() -> None:
    capture = FakeCapture()
    camera(capture).close()
    assert capture.released


class HangingCapture(FakeCapture):
    """Hangs in a read until it is let go, and notices a release meanwhile: OpenCV would crash."""

    def __init__(self) -> None:
        super().__init__([picture()])
        self.reading, self.let_go, self.was_released = (threading.Event() for _ in range(3))
        self.crashed = False

    def grab(self) -> bool:
        self.reading.set()
        self.let_go.wait(60)
        self.crashed = self.released
        return super().grab()

    def release(self) -> None:
        super().release()
        self.was_released.set()


def test_a_driver_that_hangs_is_a_stall_and_is_released_when_it_returns() -> None:
    capture = HangingCapture()
    source = camera(capture)
    with pytest.raises(SourceError, match=r"delivered no picture for 0\.05 s after 0 pictures"):
        source.read()
    assert capture.reading.is_set()
    source.close()
    source.close()
    assert not capture.released
    capture.let_go.set()
    assert capture.was_released.wait(60)
    assert not capture.crashed


def test_a_driver_that_hangs_while_it_opens_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang(_device: str) -> FakeCapture:
        let_go.wait(60)
        return FakeCapture()

    monkeypatch.setattr(camera_v4l2, "OPEN_TIMEOUT_S", 0.05)
    with pytest.raises(SourceError, match=r"camera 0 did not open within 0\.05 s; expected"):
        CameraSource("0", open_capture=hang)
    let_go.set()


def test_what_goes_wrong_in_opencv_reaches_the_reader() -> None:
    class Broken(FakeCapture):
        def grab(self) -> bool:
            raise cv2.error("out of memory")

    with pytest.raises(cv2.error, match="out of memory"):
        camera(Broken()).read()


def test_opencv_is_told_to_wait_less_than_the_stall_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: FakeCapture())
    path = tmp_path / "video0"
    path.touch()
    for before, after in ((None, "1"), ("3", "3")):  # what the user has set stays
        monkeypatch.setenv(camera_v4l2.WAIT_VARIABLE, before or "")
        if before is None:
            monkeypatch.delenv(camera_v4l2.WAIT_VARIABLE)
        CameraSource(str(path)).close()
        assert os.environ[camera_v4l2.WAIT_VARIABLE] == after


@pytest.mark.parametrize(
    ("device", "path"),
    [
        ("0", "/dev/video0"),
        ("/dev/video2", "/dev/video2"),
        ("/dev/v4l/by-id/a", "/dev/v4l/by-id/a"),
    ],
)
def test_a_camera_is_named_by_index_or_path(device: str, path: str) -> None:
    assert device_path(device) == path


def test_a_camera_may_be_given_a_name() -> None:
    source = CameraSource("0", name="gate", open_capture=lambda _device: FakeCapture([picture()]))
    assert (source.name, source.read().source) == ("gate", "gate")


def test_the_time_is_that_of_capture_and_not_of_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100, 200])

    class Decoding(FakeCapture):
        def retrieve(self) -> tuple[bool, np.ndarray | None]:
            next(clock)
            return super().retrieve()

    source = camera(Decoding([picture()]))
    monkeypatch.setattr(camera_v4l2.time, "monotonic_ns", lambda: next(clock))
    assert source.read().captured_ns == 100


def test_nothing_is_asked_of_a_camera_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    capture = FakeCapture()
    camera(capture)
    assert [what for what, _ in capture.asked] == [cv2.CAP_PROP_BUFFERSIZE]
    assert capsys.readouterr().err == ""


def test_format_size_and_rate_are_asked_for_in_the_order_that_drivers_need() -> None:
    capture = FakeCapture()
    configured(capture, CaptureOptions(HD, 25.0, "YUYV"))
    assert capture.asked[1:] == [(FOURCC, YUYV), (WIDTH, 1280), (HEIGHT, 720), (FPS, 25.0)]


def test_raw_pictures_stay_where_they_come_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    capture = FakeCapture(frame_rate=15)
    configured(capture, CaptureOptions(HD, 30.0))
    assert FOURCC not in dict(capture.asked)
    assert capsys.readouterr().err == ""


def test_compressed_pictures_are_taken_where_raw_ones_are_too_slow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Usb2(FakeCapture):  # 1280x720 raw at 10 FPS, compressed at 30
        def get(self, wanted: int) -> float:
            if wanted == FPS and super().get(FOURCC) != MJPG:
                return 10.0
            return super().get(wanted)

    capture = Usb2()
    source = configured(capture, CaptureOptions(HD, 30.0))
    assert capture.asked[-4:] == [(FOURCC, MJPG), (WIDTH, 1280), (HEIGHT, 720), (FPS, 30.0)]
    assert source.frame_rate == 30
    assert capsys.readouterr().err == ""


def test_a_format_that_was_asked_for_is_not_replaced() -> None:
    capture = FakeCapture(gives={FPS: 10.0})
    configured(capture, CaptureOptions(HD, 30.0, "YUYV"))
    assert [value for what, value in capture.asked if what == FOURCC] == [YUYV]


def test_what_the_driver_gives_instead_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    gives = {WIDTH: 640.0, HEIGHT: 480.0, FPS: 15.0, FOURCC: float(MJPG)}
    for _ in range(3):  # opened again after each fault
        source = configured(FakeCapture([picture()], gives=gives), CaptureOptions(HD, 30, "YUYV"))
        assert source.read().sequence == 0
    assert capsys.readouterr().err == (
        "notice: camera 0 gives 640x480, 15 FPS, MJPG; asked for 1280x720, 30 FPS, YUYV; see what "
        "it can do: v4l2-ctl --device /dev/video0 --list-formats-ext\n"
    )


@pytest.mark.parametrize("stated", [29.97, 0.0])  # near enough; no rate at all
def test_a_rate_that_is_near_or_unknown_is_no_difference(
    stated: float, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(FakeCapture(gives={FPS: stated}), CaptureOptions(frame_rate=30.0))
    assert capsys.readouterr().err == ""


def test_a_format_without_letters_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    configured(FakeCapture(gives={FOURCC: -1.0}), CaptureOptions(pixel_format="Y16"))
    assert "gives another format; asked for Y16;" in capsys.readouterr().err


def test_an_unplugged_camera_is_an_error_at_once(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    source = plugged(device, FakeCapture([picture()]), stall_timeout_s=1000)
    source.read()
    device.unlink()
    with pytest.raises(SourceError, match=r"is gone after 1 pictures \(.*video0 vanished\)"):
        source.read()
    source.close()


def test_a_camera_that_is_still_plugged_in_is_given_its_time(tmp_path: Path) -> None:
    source = plugged(tmp_path / "video0", FakeCapture(), stall_timeout_s=0.02)
    with pytest.raises(SourceError, match=r"delivered no picture for 0\.02 s after 0 pictures"):
        source.read()


def test_a_camera_that_comes_back_opens_again(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    first = plugged(device, FakeCapture(), stall_timeout_s=1000)
    device.unlink()
    with pytest.raises(SourceError, match="is gone"):
        first.read()
    first.close()
    second = plugged(device, FakeCapture([picture()]), stall_timeout_s=1000)
    assert second.read().sequence == 0


def test_missing_rights_are_named_with_their_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(camera_v4l2.os, "access", lambda *_: False)
    with pytest.raises(SourceError, match=r"may not be opened by this user .* --groups video"):
        CameraSource(str(device), open_capture=lambda _device: FakeCapture(opened=False))


def test_a_file_that_is_no_camera_is_one_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "video0"
    path.write_bytes(b"no camera")
    with pytest.raises(SourceError, match="does not open; expected a V4L2 camera"):
        CameraSource(str(path))
    assert capfd.readouterr().err == ""
