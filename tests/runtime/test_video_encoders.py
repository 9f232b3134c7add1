"""Choosing an encoder, and the one in OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from runtime import video_encoder_gstreamer, video_encoders
from runtime.errors import OutputError
from runtime.video_encoder_gstreamer import ELEMENTS, EncoderElement
from runtime.video_encoders import OpenCvEncoder, VideoFormat, open_encoder, prepare_encoders
from tests.builders import picture
from tests.videos import read_video

SMALL = VideoFormat((48, 64), 25.0)


@pytest.mark.parametrize(
    ("size_hw", "here", "expected"),
    [
        ((480, 640), ELEMENTS[0], "GStreamer"),
        ((4096, 4096), ELEMENTS[0], "GStreamer"),
        ((480, 640), None, "OpenCV"),
        ((254, 640), ELEMENTS[0], "OpenCV"),
        ((480, 4098), ELEMENTS[0], "OpenCV"),
    ],
)
def test_gstreamer_encodes_usual_sizes_where_it_can(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size_hw: tuple[int, int],
    here: EncoderElement | None,
    expected: str,
) -> None:
    monkeypatch.setattr(video_encoder_gstreamer, "working_encoder", lambda: here)
    monkeypatch.setattr(video_encoder_gstreamer, "GStreamerEncoder", lambda *_: "GStreamer")
    monkeypatch.setattr(video_encoders, "OpenCvEncoder", lambda *_: "OpenCV")
    prepare_encoders()
    assert open_encoder(tmp_path / "out.mp4", VideoFormat(size_hw, 30.0)) == expected


@pytest.mark.parametrize("rate", [0.1, 30000 / 1001, 67.123, 239.7603, 1000.0])
def test_opencv_writes_every_rate_that_a_source_may_state(tmp_path: Path, rate: float) -> None:
    path = tmp_path / "out.mp4"
    encoder = OpenCvEncoder(path, VideoFormat((48, 64), rate))
    for index in range(3):
        encoder.write(picture(brightness=100 + 40 * index))
    encoder.finish()
    encoder.abort()
    images, stored = read_video(path)
    assert stored == pytest.approx(rate, rel=1e-4)
    assert [round(image.mean() / 20) * 20 for image in images] == [100, 140, 180]


def test_an_encoder_that_does_not_open_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_encoders, "FOURCC", cv2.VideoWriter.fourcc(*"none"))
    with pytest.raises(OutputError, match="cannot write a 64x48 video"):
        OpenCvEncoder(tmp_path / "out.mp4", SMALL)


def test_a_video_that_lost_pictures_is_an_error(tmp_path: Path) -> None:
    encoder = OpenCvEncoder(tmp_path / "out.mp4", SMALL)
    encoder.write(picture())
    encoder._written = 5  # as if four had not reached the disk
    with pytest.raises(OutputError, match="would hold 1 of 5 pictures"):
        encoder.finish()
