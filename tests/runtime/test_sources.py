"""What every source has, and what a silent one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.camera_files import ImageFilesSource
from runtime.camera_v4l2 import CameraSource
from runtime.camera_video import VideoSource
from runtime.sources import Source, stall_message
from tests.builders import picture, write_images, write_video
from tests.fakes.sources import FakeCapture, FakeSource


@pytest.fixture(params=["camera", "video", "images", "fake"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "camera":
        return CameraSource("0", open_capture=lambda _device: FakeCapture([picture()]))
    if request.param == "video":
        return VideoSource(write_video(tmp_path / "clip.mp4"))
    if request.param == "images":
        return ImageFilesSource(str(write_images(tmp_path)))
    return FakeSource([picture()])


def test_every_source_keeps_the_protocol(source: Source) -> None:
    assert isinstance(source.name, str)
    assert source.frame_rate > 0
    assert (source.stall_timeout_s is not None) == source.is_live
    frame = source.read()
    assert frame is not None
    assert frame.sequence == 0
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.flags.writeable
    source.close()
    source.close()


def test_the_stall_message_says_what_to_do() -> None:
    message = stall_message("camera 1", 5.0, 12)
    assert message.startswith("camera 1 delivered no picture for 5 s after 12 pictures; expected")
    assert "check its cable" in message
