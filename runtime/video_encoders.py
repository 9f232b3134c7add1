"""Turns pictures into an MP4: H.264 by GStreamer where it can, else MPEG-4 part 2 by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from runtime.errors import OutputError
from runtime.opencv_log import silence_opencv

FOURCC = cv2.VideoWriter.fourcc(*"mp4v")  # MPEG-4 part 2: the one encoder in every OpenCV build
# Encoders in hardware take no smaller sides (NVENC 145 x 49, NVIDIA's on Jetson 256) and H.264 no
# larger ones than 4096 up to NVENC of 2024.
H264_SIDES_PX = range(256, 4097)


@dataclass(frozen=True)
class VideoFormat:
    """What a video is made of.

    Attributes:
        size_hw: Height and width in pixels, both even.
        frame_rate: Pictures per second.
    """

    size_hw: tuple[int, int]
    frame_rate: float


class VideoEncoder(Protocol):
    """Writes one MP4. Use from one thread."""

    def write(self, image: np.ndarray) -> None:
        """Add a picture, uint8 (H, W, 3) BGR of the format's size.

        Raises:
            OutputError: If it cannot be written, also one that was given before.
        """
        ...

    def finish(self) -> None:
        """Complete the file. Raises as ``write`` does."""
        ...

    def abort(self) -> None:
        """Let go of the file, which is of no use then; may be called again and after ``finish``."""
        ...


def open_encoder(path: Path, video: VideoFormat) -> VideoEncoder:
    """Start to write an MP4 with the best encoder that works here.

    Args:
        path: The file; its folder exists.
        video: What it is made of.

    Raises:
        OSError: If the file cannot be made.
        OutputError: The same, of OpenCV, which gives no reason.
    """
    from runtime.video_encoder_gstreamer import GStreamerEncoder, working_encoder

    if all(side in H264_SIDES_PX for side in video.size_hw):
        element = working_encoder()
        if element is not None:
            return GStreamerEncoder(path, video, element)
    return OpenCvEncoder(path, video)


def prepare_encoders() -> None:
    """Find out which encoder works, which takes a second: before the first picture comes."""
    from runtime.video_encoder_gstreamer import working_encoder

    working_encoder()


class OpenCvEncoder:
    """Writes with the FFmpeg in OpenCV, in this process; see ``VideoEncoder``.

    Args:
        path: The file.
        video: What it is made of.

    Raises:
        OutputError: If it cannot be written.
    """

    def __init__(self, path: Path, video: VideoFormat) -> None:
        self._path = path
        self._written = 0
        height, width = video.size_hw
        rate = _encodable_rate(video.frame_rate)
        silence_opencv()
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, FOURCC, rate, (width, height))
        if not self._writer.isOpened():
            raise OutputError(
                f"--save cannot write a {width}x{height} video in {path.parent}; expected a "
                "writable folder and an OpenCV with FFmpeg; choose another --save path"
            )

    def write(self, image: np.ndarray) -> None:
        """Add a picture."""
        self._writer.write(image)
        self._written += 1

    def finish(self) -> None:
        """Complete the file and check that it holds what was written to it."""
        self._writer.release()
        check = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        stored = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if stored != self._written:  # OpenCV does not report a full disk
            raise OutputError(
                f"the video for --save would hold {stored} of {self._written} pictures; expected "
                "all; is the disk full, or was the folder deleted?"
            )

    def abort(self) -> None:
        """Let go of the file."""
        self._writer.release()


def _encodable_rate(frame_rate: float) -> float:
    """Round a rate so that MPEG-4 can state it, as a fraction whose numerator has 16 bits."""
    decimals = 3 if frame_rate < 65 else 2 if frame_rate < 655 else 0
    return round(frame_rate, decimals)
