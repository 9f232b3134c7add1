"""A grid of pictures from a stream of unknown length."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.contact_sheet import COLUMNS, GAP_PX, TILE_WIDTH_PX, ContactSheetSink
from runtime.errors import OutputError
from tests.builders import picture
from tests.fakes.disks import make_read_only, small_disk
from tests.results import found, result


def publish(sink: ContactSheetSink, images: list[np.ndarray]) -> None:
    for index, image in enumerate(images):
        sink.publish(result(index, image))


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


def test_pictures_of_all_cameras_with_their_boxes_are_on_it(tmp_path: Path) -> None:
    sink = ContactSheetSink(tmp_path / "sheet.png")
    black = np.zeros((240, TILE_WIDTH_PX, 3), np.uint8)
    sink.publish(result(0, black, camera="gate", detections=found((0, 0.9))))
    sink.publish(result(0, black, camera="yard"))
    sink.close()
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet[:240, :TILE_WIDTH_PX].max() > 100
    assert sheet[:240, TILE_WIDTH_PX + GAP_PX : -GAP_PX].max() == 0


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing_is_one_error(tmp_path: Path, fault: str) -> None:
    with small_disk(tmp_path / "disk") as disk:
        sink = ContactSheetSink(disk / "sheet.png")
        noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
        publish(sink, [noise])
        if fault == "read-only":
            make_read_only(disk)
        with pytest.raises(OutputError, match=r"--contact-sheet cannot write .*sheet\.png \("):
            sink.close()
        assert list(disk.iterdir()) == []


def test_a_name_below_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = ContactSheetSink(tmp_path / "file" / "sheet.png")
    publish(sink, [picture()])
    with pytest.raises(OutputError, match="--contact-sheet cannot write"):
        sink.close()
