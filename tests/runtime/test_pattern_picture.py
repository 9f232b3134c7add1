"""Pictures that tell their number, also after a codec."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.opencv_log import silence_opencv
from runtime.pattern_picture import LEAST_WIDTH_PX, PatternPicture, read_frame_number
from tests.builders import picture

SIZES_HW = [(480, 640), (720, 1280), (200, 320), (333, 517), (48, 64), (1, LEAST_WIDTH_PX)]
NUMBERS = [0, 1, 255, 256, 77_777, 2**24 - 1]


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_number_is_read_back(size_hw: tuple[int, int]) -> None:
    pattern = PatternPicture(size_hw)
    for number in NUMBERS:
        image = pattern.render(number)
        assert (image.shape, image.dtype) == ((*size_hw, 3), np.uint8)
        assert read_frame_number(image) == number


def test_the_number_begins_anew_after_24_bits() -> None:
    assert read_frame_number(PatternPicture((48, 64)).render(2**24 + 5)) == 5


@pytest.mark.parametrize("quality", [95, 50, 10])
@pytest.mark.parametrize("size_hw", [(480, 640), (240, 320)])
def test_the_number_survives_jpeg(size_hw: tuple[int, int], quality: int) -> None:
    pattern = PatternPicture(size_hw)
    for number in (0, 12_345, 2**24 - 1):
        _, data = cv2.imencode(".jpg", pattern.render(number), [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert read_frame_number(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number


def test_the_number_survives_a_video(tmp_path: Path) -> None:
    silence_opencv()  # FFmpeg looks once per process whether it may talk
    path, pattern = tmp_path / "o.mp4", PatternPicture((240, 320))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (320, 240))
    for number in range(20):
        writer.write(pattern.render(number))
    writer.release()
    capture, numbers = cv2.VideoCapture(str(path)), []
    while (delivered := capture.read())[0]:
        numbers.append(read_frame_number(delivered[1]))
    assert numbers == list(range(20))


def test_a_damaged_number_is_none() -> None:
    image = PatternPicture((480, 640)).render(1000)
    block = 640 // LEAST_WIDTH_PX
    flipped = image.copy()
    flipped[:block, :block] = 255 - flipped[:block, :block]
    grey = image.copy()
    grey[:block, :block] = 128
    assert read_frame_number(flipped) is None
    assert read_frame_number(grey) is None


@pytest.mark.parametrize(
    "image",
    [
        picture(480, 640),
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.zeros((10, LEAST_WIDTH_PX - 1, 3), np.uint8),
        np.zeros((1, 640, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_another_picture_has_no_number(image: np.ndarray) -> None:
    assert read_frame_number(image) is None


def test_a_picture_depends_on_its_number_alone_and_is_its_readers_own() -> None:
    first, second = PatternPicture((96, 128)), PatternPicture((96, 128))
    second.render(3)
    kept = first.render(7)
    assert np.array_equal(kept, second.render(7))
    again = kept.copy()
    first.render(8)[:] = 0
    assert np.array_equal(kept, again)
    assert np.array_equal(first.render(7), again)


def test_the_shapes_move() -> None:
    pattern = PatternPicture((96, 128))
    below = slice(128 // LEAST_WIDTH_PX, None)
    changed = pattern.render(0)[below] != pattern.render(5)[below]
    assert changed.any()
    assert np.array_equal(pattern.render(0)[below], pattern.render(300)[below])  # a round
