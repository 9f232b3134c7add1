"""Cameras, behind a fake capture, and real video files."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.camera_opencv import CameraSource, VideoSource
from runtime.errors import SourceError
from tests.builders import picture, write_video
from tests.fakes.sources import FakeCapture


def camera(capture: FakeCapture, stall_timeout_s: float = 0.05) -> CameraSource:
    return CameraSource("0", lambda _device: capture, stall_timeout_s)


def count_all(source: VideoSource) -> int:
    count = 0
    while source.read() is not None:
        count += 1
    return count


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
    ("stated", "used"), [(25, 25), (0, 30), (float("nan"), 30), (90_000, 30), (-1, 30)]
)
def test_a_senseless_frame_rate_is_replaced(stated: float, used: float) -> None:
    assert camera(FakeCapture(frame_rate=stated)).frame_rate == used


def test_closing_releases_the_device() -> None:
    capture = FakeCapture()
    camera(capture).close()
    assert capture.released


def test_closing_while_a_read_hangs_leaves_the_device_alone() -> None:
    reading, let_go = threading.Event(), threading.Event()

    class HangingCapture(FakeCapture):
        def read(self) -> tuple[bool, np.ndarray | None]:
            reading.set()
            let_go.wait(10)
            return True, picture()

    capture = HangingCapture()
    source = camera(capture)
    thread = threading.Thread(target=source.read)
    thread.start()
    assert reading.wait(10)
    source.close()
    assert not capture.released
    let_go.set()
    thread.join(10)
    source.close()
    assert capture.released


def test_a_video_is_read_completely(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "clip.mp4", frames=12, frame_rate=25))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    assert [frame.sequence for frame in frames] == list(range(12))
    assert source.frame_rate == 25
    assert not source.is_live
    assert frames[0].source == "clip.mp4"
    # The receiver may keep a frame: none shares its memory with the next.
    assert not np.shares_memory(frames[0].image, frames[1].image)
    source.close()


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file at .*none\.mp4"):
        VideoSource(tmp_path / "none.mp4")


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_one_error(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be decoded"):
        VideoSource(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("last_ms", "is_cut"), [(9_980, False), (5_000, True)])
def test_fewer_pictures_than_promised_are_an_error_only_if_time_is_missing_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_ms: int, is_cut: bool
) -> None:
    # A screen recording of 10 s: the container states a rate of 1000, few pictures exist.
    facts = {
        cv2.CAP_PROP_FPS: 1000.0,
        cv2.CAP_PROP_FRAME_COUNT: 10_000.0,
        cv2.CAP_PROP_POS_MSEC: float(last_ms),
    }

    class VaryingRate(FakeCapture):
        def get(self, wanted: int) -> float:
            return facts[wanted]

    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: VaryingRate([picture()] * 3))
    source = VideoSource(write_video(tmp_path / "clip.mp4"))
    if is_cut:
        with pytest.raises(SourceError, match="ended after 3 pictures; expected 10000"):
            count_all(source)
    else:
        assert count_all(source) == 3


def test_a_video_cut_before_its_index_is_one_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="cut short"):
        VideoSource(path)
    assert capfd.readouterr().err == ""


def test_a_video_that_ends_early_is_one_error(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "clip.mp4", frames=5))
    source._promised = 300  # as an index before the cut would say
    for _ in range(5):
        assert source.read() is not None
    with pytest.raises(SourceError, match="ended after 5 pictures; expected 300"):
        source.read()


def test_a_length_that_is_off_by_little_is_forgiven(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "clip.mp4", frames=5))
    source._promised = 7
    for _ in range(5):
        source.read()
    assert source.read() is None
