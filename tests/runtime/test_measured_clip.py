"""Pictures to measure on: which file is what, again from the start, and at a camera's pace."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest

from runtime import measured_clip
from runtime.errors import SourceError, UsageError
from runtime.measured_clip import (
    Clip,
    ClipReader,
    PacedClip,
    count_pictures,
    find_clip,
    network_frames,
)
from runtime.pattern_picture import read_frame_number
from tests.builders import picture, write_images, write_video
from tests.fakes.sources import FakeSource


def fake_clip(pictures: int) -> Clip:
    return Clip("fake", 30.0, lambda: FakeSource([picture()] * pictures))


def test_a_video_has_its_own_rate(tmp_path: Path) -> None:
    clip = find_clip(str(write_video(tmp_path / "v.mp4", frames=4, frame_rate=25.0)))
    assert clip.frame_rate == 25.0
    assert count_pictures(clip, 100) == 4


@pytest.mark.parametrize("name", ["{}", "{}/*.png", "{}/0.png"])
def test_images_stand_for_a_cameras_pictures(tmp_path: Path, name: str) -> None:
    folder = write_images(tmp_path / "images", count=3)
    clip = find_clip(name.format(folder))
    assert clip.frame_rate == 30.0
    assert count_pictures(clip, 100) == (1 if name.endswith("0.png") else 3)


def test_the_test_pattern_is_read_as_fast_as_it_can_be_and_keeps_its_rate_for_live_runs() -> None:
    clip = find_clip("test://64x48@7?frames=3")
    assert clip.frame_rate == 7.0
    reader = ClipReader(clip)
    numbers = [read_frame_number(reader.read()[0].image) for _ in range(5)]
    assert numbers == [0, 1, 2, 0, 1]


def test_without_a_name_it_is_the_demos_clip_or_else_the_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_clip, "DEMO_CLIP", tmp_path / "clip.mp4")
    assert find_clip(None).name == "test://"
    write_video(tmp_path / "clip.mp4")
    assert find_clip(None).name == str(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["rtsp://host/path", "0", "/dev/video0", "csi://0"])
def test_a_camera_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--frames got .*a camera shows no picture twice"):
        find_clip(name)


def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"cut\.mp4 cannot be decoded"):
        find_clip(str(tmp_path / "cut.mp4"))
    with pytest.raises(SourceError, match="holds no image"):
        find_clip(str(tmp_path / "empty"))
    with pytest.raises(SourceError, match="no file at"):
        find_clip(str(tmp_path / "none.mp4"))
    with pytest.raises(UsageError, match="expected test://"):
        find_clip("test://big")


def test_a_reader_begins_again_and_numbers_on() -> None:
    reader = ClipReader(fake_clip(2))
    assert [reader.read()[0].sequence for _ in range(5)] == [0, 1, 2, 3, 4]
    assert (reader.length, reader.repeats) == (2, 2)


def test_beginning_again_is_before_the_clock() -> None:
    opened: list[FakeSource] = []

    def open_slowly() -> FakeSource:
        if opened:
            time.sleep(0.05)
        opened.append(FakeSource([picture()]))
        return opened[-1]

    reader = ClipReader(Clip("slow", 30.0, open_slowly))
    reader.read()
    before_ns = time.perf_counter_ns()
    _, started_ns = reader.read()
    assert started_ns - before_ns > 40_000_000
    assert opened[0].closed


def test_pictures_cannot_be_written_to() -> None:
    frame, _ = ClipReader(fake_clip(1)).read()
    assert not frame.image.flags.writeable


def test_a_clip_without_pictures_is_an_error() -> None:
    for read in (ClipReader(fake_clip(0)).read, lambda: count_pictures(fake_clip(0), 5)):
        with pytest.raises(SourceError, match="fake holds no picture; expected at least one"):
            read()


def test_a_clip_that_is_gone_at_its_second_showing_is_an_error() -> None:
    sources = iter([FakeSource([picture()]), FakeSource([])])
    reader = ClipReader(Clip("fading", 30.0, lambda: next(sources)))
    reader.read()
    with pytest.raises(SourceError, match="fading holds no picture"):
        reader.read()


@pytest.mark.parametrize(("length", "most", "counted"), [(3, 10, 3), (3, 3, 3), (3, 2, 2)])
def test_pictures_are_counted_up_to_a_limit(length: int, most: int, counted: int) -> None:
    assert count_pictures(fake_clip(length), most) == counted


def test_network_frames_are_letterboxed_and_repeat() -> None:
    frames = network_frames(fake_clip(1), (64, 64), 2)
    assert frames.shape == (2, 64, 64, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[0], frames[1])
    assert frames[0, 0].max() == 0 and frames[0, 32].min() > 100  # borders above and below
    assert network_frames(fake_clip(1), (64, 64), 0).shape == (0, 64, 64, 3)


def test_a_paced_clip_keeps_its_rate_and_ends() -> None:
    camera = PacedClip(fake_clip(20), 100.0, 0.1)
    started = time.monotonic()
    due = []
    while (frame := camera.read()) is not None:
        due.append(frame.captured_ns)
    assert time.monotonic() - started >= 0.085
    assert len(due) + camera.missed == 10
    assert all((b - a) % 10_000_000 == 0 for a, b in itertools.pairwise(due))


def test_a_cameras_clock_stands_still_while_a_file_is_begun_again() -> None:
    opened = []

    def open_slowly() -> FakeSource:
        time.sleep(0.2 if opened else 0.0)
        opened.append(FakeSource([picture()]))
        return opened[-1]

    camera = PacedClip(Clip("slow", 30.0, open_slowly), 10.0, 0.4)
    ages_ms = []
    for _ in range(2):
        frame = camera.read()
        assert frame is not None
        ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    assert camera.missed == 0 and len(opened) == 2
    assert ages_ms[1] < 150  # and not the 200 of opening


def test_a_late_reader_misses_pictures_and_finds_them_old() -> None:
    camera = PacedClip(fake_clip(2), 100.0, 10.0)
    first = camera.read()
    time.sleep(0.055)
    late = camera.read()
    assert first is not None and late is not None
    assert camera.missed >= 4 and late.sequence == 1
    assert late.captured_ns - first.captured_ns >= 50_000_000
    camera.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "--frames got ''; expected a video, a folder of images or test://"),
        ("test://abc", "--frames got 'test://abc'; expected test://"),
        ("test://0x0", "--frames got 'test://0x0'; expected a rate above 0"),
    ],
)
def test_a_name_that_is_none_is_refused_as_this_option(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        find_clip(name)
