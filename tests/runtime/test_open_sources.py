"""From options to sources that can be opened."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from runtime import open_sources as module
from runtime.camera_files import ImageFilesSource
from runtime.camera_test_pattern import PatternSource
from runtime.camera_v4l2 import CaptureOptions
from runtime.camera_video import VideoSource
from runtime.errors import SourceError, UsageError
from runtime.open_sources import open_sources
from runtime.option_types import group_from
from runtime.options_sources import SourceOptions, add_arguments
from tests.builders import write_images, write_video
from tests.fakes.sources import FakeSource


def options(*arguments: object) -> SourceOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return group_from(SourceOptions, parser.parse_args([str(part) for part in arguments]))


def test_sources_keep_their_order_and_have_their_own_names(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "clip.mp4", frames=2)
    images = write_images(tmp_path / "images")
    specs = open_sources(
        options(
            *("--images", images, "--video", tmp_path / "a/clip.mp4", "--camera", "test://@max"),
            *("--video", tmp_path / "b/clip.mp4", "--camera", "clip.mp4=test://64x48"),
        )
    )
    assert [spec.name for spec in specs] == [
        "test pattern",
        "clip.mp4",
        "clip.mp4 (2)",
        "clip.mp4 (3)",
        str(images),
    ]
    assert [spec.is_live for spec in specs] == [False, True, False, False, False]
    kinds = [PatternSource, PatternSource, VideoSource, VideoSource, ImageFilesSource]
    for spec, kind in zip(specs, kinds, strict=True):
        source = spec.open()
        assert isinstance(source, kind)
        assert (source.name, source.is_live) == (spec.name, spec.is_live)
        source.close()


def test_a_source_opens_again(tmp_path: Path) -> None:
    (spec,) = open_sources(options("--video", write_video(tmp_path / "clip.mp4", frames=2)))
    for _ in range(2):
        frame = spec.open().read()
        assert frame is not None
        assert frame.sequence == 0


def test_the_test_pattern_honours_size_and_rate() -> None:
    (spec,) = open_sources(
        options("--camera", "test://", "--camera-size", "64x48", "--camera-fps", 500)
    )
    source = spec.open()
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)
    assert source.frame_rate == 500


def test_a_v4l2_camera_is_asked_for_what_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(device: str, asked: CaptureOptions, name: str) -> FakeSource:
        made.append((device, asked, name))
        return FakeSource([], is_live=True)

    monkeypatch.setattr(module, "CameraSource", make)
    arguments = ["--camera", "gate=/dev/video7", "--camera-size", "1280x720", "--camera-fps", 25]
    (spec,) = open_sources(options(*arguments, "--pixel-format", "mjpg", "--stall-timeout", 2))
    assert made == []  # nothing is opened before it is asked for
    spec.open()
    asked = CaptureOptions((720, 1280), 25.0, "MJPG", 2.0)
    assert made == [("/dev/video7", asked, "gate")]
    assert spec.is_live


@pytest.mark.parametrize(
    ("address", "module_name", "function", "target"),
    [
        ("csi://1", "camera_gstreamer", "open_csi", 1),
        ("rtsp://u:p@h/a", "camera_network", "open_rtsp", "rtsp://u:p@h/a"),
        ("rtsp://u:${PASSWORD}@h/a", "camera_network", "open_rtsp", "rtsp://u:${PASSWORD}@h/a"),
        ("http://h/a", "camera_network", "open_mjpeg", "http://h/a"),
    ],
)
def test_other_cameras_are_opened_by_their_modules(
    monkeypatch: pytest.MonkeyPatch, address: str, module_name: str, function: str, target: object
) -> None:
    monkeypatch.setenv("PASSWORD", "p@")
    calls: list[tuple[object, ...]] = []

    def opener(*arguments: object) -> FakeSource:
        calls.append(arguments)
        return FakeSource([], is_live=True)

    fake = ModuleType(f"runtime.{module_name}")
    setattr(fake, function, opener)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    asked = options("--camera", f"gate={address}")
    (spec,) = open_sources(asked)
    assert calls == []
    assert isinstance(spec.open(), FakeSource)
    assert calls == [(target, "gate", asked)]
    assert spec.is_live


def test_a_camera_that_does_not_exist_shows_when_it_is_opened() -> None:
    (spec,) = open_sources(options("--camera", 97))
    with pytest.raises(SourceError, match=r"camera 97 does not exist \(/dev/video97\)"):
        spec.open()


def missing_video(folder: Path) -> list[object]:
    return ["--video", folder / "none.mp4"]


def empty_folder(folder: Path) -> list[object]:
    return ["--images", folder]


@pytest.mark.parametrize(
    ("make", "message"), [(missing_video, "no file at"), (empty_folder, "holds no image")]
)
def test_missing_files_show_before_anything_is_opened(
    tmp_path: Path, make: Callable[[Path], list[object]], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        open_sources(options(*make(tmp_path)))


def test_no_source_is_an_error() -> None:
    with pytest.raises(UsageError, match="got no source; expected --camera, --video or --images"):
        open_sources(options())
