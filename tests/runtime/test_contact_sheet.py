"""A grid of pictures from a stream of unknown length."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.contact_sheet import COLUMNS, GAP_PX, TILE_WIDTH_PX, ContactSheetSink
from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from tests.builders import picture


def publish(sink: ContactSheetSink, images: list[np.ndarray]) -> None:
    for index, image in enumerate(images):
        sink.publish(FrameResult(Frame(image, "x", index, 0), Detections.empty(), {}))


def tile_values(path: Path, count: int) -> list[float]:
    sheet = cv2.imread(str(path))
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    height, width = sheet.shape[0] // rows, TILE_WIDTH_PX + GAP_PX
    assert sheet.shape[1] == columns * width
    return [
        float(sheet[i // columns * height + height // 2, i % columns * width + width // 2, 0])
        for i in range(count)
    ]


@pytest.mark.parametrize("frames", [1, 2, 3, 11, 12, 13, 24, 100, 251])
def test_pictures_are_evenly_spaced_from_first_to_near_last(tmp_path: Path, frames: int) -> None:
    sink = ContactSheetSink(tmp_path / "sheet.png")
    publish(sink, [np.full((48, 64, 3), index, np.uint8) for index in range(frames)])
    assert len(sink._kept) < 24
    sink.close()
    count = min(12, frames)
    values = tile_values(tmp_path / "sheet.png", count)
    assert values[0] == 0
    assert values[-1] >= 0.85 * (frames - 1)
    steps = np.diff(values)
    if count > 1:
        assert steps.min() > 0
        assert steps.max() <= 2.1 * frames / count
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_a_picture_kept_is_a_copy(tmp_path: Path) -> None:
    sink = ContactSheetSink(tmp_path / "sheet.png")
    image = np.full((240, TILE_WIDTH_PX, 3), 100, np.uint8)
    publish(sink, [image])
    image[:] = 0
    sink.close()
    assert tile_values(tmp_path / "sheet.png", 1) == [100]


@pytest.mark.parametrize("image_hw", [(1, 1), (1, 3000), (3000, 1), (1080, 1920)])
def test_pictures_of_any_size_fit(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    sink = ContactSheetSink(tmp_path / "sheet.png")
    publish(sink, [picture(*image_hw), picture(480, 640)])
    sink.close()
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 2 * (TILE_WIDTH_PX + GAP_PX)
    assert sheet.shape[0] < 700


def test_without_pictures_or_when_discarded_there_is_no_sheet(tmp_path: Path) -> None:
    ContactSheetSink(tmp_path / "sheet.png").close()
    sink = ContactSheetSink(tmp_path / "sheet.png")
    publish(sink, [picture()])
    sink.discard()
    sink.close()
    assert list(tmp_path.iterdir()) == []
