"""Real video files, whole and broken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.camera_video import VideoSource
from runtime.errors import SourceError
from tests.builders import picture, write_video
from tests.fakes.sources import FakeCapture


def count_all(source: VideoSource) -> int:
    count = 0
    while source.read() is not None:
        count += 1
    return count


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


def test_a_video_may_be_given_another_name(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "clip.mp4"), "clip.mp4 (2)")
    frame = source.read()
    assert frame is not None
    assert (source.name, frame.source) == ("clip.mp4 (2)", "clip.mp4 (2)")
