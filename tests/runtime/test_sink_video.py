"""Annotated videos."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime import disk_budget, sink_video, video_encoders
from runtime.errors import OutputError
from runtime.sink_video import LONGEST_STILL_S, VideoSink
from runtime.video_encoder_gstreamer import working_encoder
from runtime.video_encoders import VideoFormat
from tests.builders import picture
from tests.fakes.disks import make_read_only, small_disk
from tests.results import found, result
from tests.videos import read_video


def at(rate: float) -> Callable[[], float]:
    return lambda: rate


class FakeEncoder:
    """Remembers; fails where it is told to."""

    def __init__(self, path: Path, fails_at_end: bool = False, content: bytes = b"video") -> None:
        path.write_bytes(content)
        self.means: list[int] = []
        self.ended: list[str] = []
        self._fails_at_end = fails_at_end

    def write(self, image: np.ndarray) -> None:
        self.means.append(round(image.mean() / 10) * 10)

    def finish(self) -> None:
        self.ended.append("finished")
        if self._fails_at_end:
            raise OutputError("the encoder died")

    def abort(self) -> None:
        self.ended.append("aborted")


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FakeEncoder, VideoFormat]]:
    opened: list[tuple[FakeEncoder, VideoFormat]] = []

    def open_fake(path: Path, video: VideoFormat) -> FakeEncoder:
        opened.append((FakeEncoder(path), video))
        return opened[-1][0]

    monkeypatch.setattr(sink_video, "open_encoder", open_fake)
    return opened


def test_a_video_keeps_pictures_and_rate_and_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.mp4"
    sink = VideoSink(path, at(25.0), keep_time=False)
    for index in range(10):
        sink.publish(result(index, picture(brightness=100 + 10 * index)))
        assert not path.exists()
    sink.close()
    sink.close()
    sink.discard()
    images, rate = read_video(path)
    assert rate == 25.0
    means = [image.mean() for image in images]
    np.testing.assert_allclose(means, 100 + 10 * np.arange(10), atol=4)
    assert list(path.parent.iterdir()) == [path]


def test_a_usual_size_is_h264_where_gstreamer_can(tmp_path: Path) -> None:
    if working_encoder() is None:
        pytest.skip("no H.264 encoder: Debian packages gstreamer1.0-tools, -plugins-bad, -ugly")
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, at(25.0), keep_time=False)
    for index in range(5):
        sink.publish(result(index, picture(256, 320)))
    sink.close()
    assert b"avc1" in path.read_bytes()
    assert len(read_video(path)[0]) == 5
    assert list(tmp_path.iterdir()) == [path]


def test_boxes_are_drawn(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=False)
    shown = result(0, picture(96, 128), detections=found((0, 0.9)))
    sink.publish(shown)
    sink.close()
    (image,), _ = read_video(tmp_path / "out.mp4")
    assert np.abs(image.astype(int) - shown.annotated).mean() < 6


@pytest.mark.parametrize("frames", [0, 3])
def test_a_discarded_video_leaves_nothing(tmp_path: Path, frames: int) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=False)
    for index in range(frames):
        sink.publish(result(index))
    sink.discard()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_live_video_is_kept_also_when_the_stream_fails(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=True)
    for index in range(3):
        sink.publish(result(index))
    sink.discard()
    sink.discard()
    assert list(tmp_path.iterdir()) == [tmp_path / "out.mp4"]
    assert read_video(tmp_path / "out.mp4")[0]


@pytest.mark.parametrize("keep_time", [False, True])
def test_an_earlier_live_video_is_set_aside(
    tmp_path: Path, encoders: list, keep_time: bool
) -> None:
    path = tmp_path / "out.mp4"
    for content in (b"first", b"second"):  # that ended in the same second
        path.write_bytes(content)
        os.utime(path, (1795317300.5, 1795317300.5))  # 2026-11-22 03:15 UTC
        sink = VideoSink(path, at(25.0), keep_time)
        sink.publish(result())
        assert path.read_bytes() == content
        sink.close()
    assert path.read_bytes() == b"video"
    aside = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p != path}
    expected = {"out-20261122T031500Z.mp4": b"first", "out-20261122T031500Z-2.mp4": b"second"}
    assert aside == (expected if keep_time else {})


def test_without_pictures_an_earlier_live_video_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"yesterday")
    VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_without_pictures_there_is_no_video(tmp_path: Path) -> None:
    VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=False).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_hw", [(1, 1), (97, 151), (1, 300), (257, 301)])
def test_any_size_becomes_a_playable_video(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(5.0), keep_time=False)
    for index in range(3):
        sink.publish(result(index, picture(*image_hw)))
    sink.close()
    images, _ = read_video(tmp_path / "out.mp4")
    assert len(images) == 3
    assert images[0].shape[0] % 2 == images[0].shape[1] % 2 == 0
    assert images[0].shape[0] >= image_hw[0]


def test_pictures_of_another_size_are_letterboxed_to_the_first(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(5.0), keep_time=False)
    sink.publish(result(0, picture(48, 64)))
    sink.publish(result(1, picture(64, 48)))
    sink.close()
    images, _ = read_video(tmp_path / "out.mp4")
    assert [image.shape for image in images] == [(48, 64, 3)] * 2
    assert images[1][:, :8].mean() < 30  # black at the sides
    assert images[1][:, 28:36].mean() > 150


def test_a_live_video_runs_as_fast_as_the_scene(tmp_path: Path, encoders: list) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(10.0), keep_time=True)
    # 10 per second stated; captured at 0, 0.1, 0.5 and 0.52 s: three repeats, one left out.
    for index, seconds in enumerate((7.0, 7.1, 7.5, 7.52)):
        sink.publish(result(index, picture(brightness=60 * (index + 1) - 40), seconds))
    assert encoders[0][0].means == [20, 80, 140, 140, 140, 140]


def test_a_camera_that_was_away_is_cut_out(tmp_path: Path, encoders: list) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(10.0), keep_time=True)
    day_s = 86400.0
    for index, seconds in enumerate((0.0, 0.1, day_s, day_s + 0.1, day_s + 0.2)):
        sink.publish(result(index, seconds=seconds))
    assert len(encoders[0][0].means) == 2 + round(LONGEST_STILL_S * 10) + 2


def test_the_rate_is_asked_for_when_the_source_is_open(tmp_path: Path, encoders: list) -> None:
    asked = []
    sink = VideoSink(tmp_path / "out.mp4", lambda: asked.append(1) or 15.0, keep_time=True)
    assert not asked
    for index in range(3):
        sink.publish(result(index, seconds=index))
    assert (len(asked), encoders[0][1].frame_rate) == (1, 15.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_counts_as_the_usual_one(
    tmp_path: Path, encoders: list, rate: float
) -> None:
    VideoSink(tmp_path / "out.mp4", at(rate), keep_time=True).publish(result())
    assert encoders[0][1].frame_rate == 30.0


def test_looking_whether_a_video_plays_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    program = (
        "from pathlib import Path; from runtime.sink_video import _can_be_played;"
        f"print(_can_be_played(Path({str(tmp_path / 'broken.mp4')!r})))"
    )
    # A process of its own: in this one an earlier test may have silenced FFmpeg.
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_video_that_was_not_finished_goes_unless_a_camera_made_it_and_it_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_time: bool
) -> None:
    sink = VideoSink(tmp_path / "whole.mp4", at(25.0), keep_time=False)
    for index in range(3):
        sink.publish(result(index))
    sink.close()
    whole = (tmp_path / "whole.mp4").read_bytes()
    for name, content in (("plays.mp4", whole), ("broken.mp4", whole[:20])):
        monkeypatch.setattr(
            sink_video,
            "open_encoder",
            lambda path, _, content=content: FakeEncoder(path, True, content),
        )
        sink = VideoSink(tmp_path / name, at(25.0), keep_time)
        sink.publish(result())
        with pytest.raises(OutputError, match="the encoder died"):
            sink.close()
        sink.discard()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == ({"whole.mp4", "plays.mp4"} if keep_time else {"whole.mp4"})


def test_a_live_video_ends_playable_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_video, "CHECK_ROOM_EVERY_S", 0.0)
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=True)
    for index in range(3):
        sink.publish(result(index, seconds=index / 25))
    monkeypatch.setattr(disk_budget, "RESERVE_BYTES", 10**18)
    with pytest.raises(OutputError, match="--save stops before it fills the disk"):
        sink.publish(result(3, seconds=3 / 25))
    sink.close()  # as a stream does with a sink that it gives up
    assert len(read_video(tmp_path / "out.mp4")[0]) == 3


def test_on_a_disk_that_is_full_already_no_live_video_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_budget, "RESERVE_BYTES", 10**18)
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=True)
    with pytest.raises(OutputError, match="--save stops before it fills the disk"):
        sink.publish(result())
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_hw", [(48, 64), (256, 320)])
def test_a_full_disk_is_one_error_and_leaves_nothing(
    tmp_path: Path, image_hw: tuple[int, int]
) -> None:
    with small_disk(tmp_path / "disk", "60k") as disk:
        sink = VideoSink(disk / "out.mp4", at(25.0), keep_time=False)
        noise = np.random.default_rng(0).integers(0, 255, (9, *image_hw, 3), np.uint8)
        with pytest.raises(OutputError, match=r"is the disk full|No space left"):
            for index in range(200):
                sink.publish(result(index, noise[index % 9]))
            sink.close()
        sink.discard()
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("image_hw", [(48, 64), (256, 320)])
def test_a_folder_that_goes_is_one_error(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    sink = VideoSink(tmp_path / "new" / "out.mp4", at(25.0), keep_time=False)
    sink.publish(result(0, picture(*image_hw)))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match="--save"):
        sink.close()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_hw", [(48, 64), (256, 320)])
def test_a_read_only_disk_is_one_error(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    with small_disk(tmp_path / "disk") as disk:
        sink = VideoSink(disk / "out.mp4", at(25.0), keep_time=False)
        make_read_only(disk)
        with pytest.raises(OutputError, match="--save"):
            sink.publish(result(0, picture(*image_hw)))
            sink.close()
        sink.discard()


def test_a_name_below_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--save cannot write"):
        VideoSink(tmp_path / "file" / "out.mp4", at(25.0), keep_time=False)


def test_a_name_that_is_a_folder_by_now_is_one_error(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=False)
    sink.publish(result())
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OutputError, match=r"--save cannot write .*\(Is a directory\)"):
        sink.close()
    sink.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_the_opencv_encoder_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_encoders, "H264_SIDES_PX", range(0))
    sink = VideoSink(tmp_path / "out.mp4", at(25.0), keep_time=False)
    for index in range(3):
        sink.publish(result(index, picture(256, 320)))
    sink.close()
    assert b"mp4v" in (tmp_path / "out.mp4").read_bytes()
