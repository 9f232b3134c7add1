"""JPEG files, complete or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.camera_files import read_image
from runtime.errors import OutputError
from runtime.picture_files import encode_picture, write_complete
from tests.builders import picture
from tests.fakes.disks import make_read_only, small_disk


@pytest.mark.parametrize("image_hw", [(1, 1), (48, 64), (31, 97)])
def test_a_picture_survives(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    image = picture(*image_hw)
    write_complete(tmp_path / "a.jpg", encode_picture("record", image))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - image).max() <= 12
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_a_picture_too_large_for_jpeg_is_one_error() -> None:
    with pytest.raises(OutputError, match="--record cannot encode a 70000x1 picture as JPEG"):
        encode_picture("record", np.zeros((1, 70_000, 3), np.uint8))


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_complete(tmp_path / "gone" / "a.jpg", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_part(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(OSError, match="No space left") as caught:
            write_complete(disk / "a.jpg", bytes(10**6))
        assert caught.value.filename == str(disk / "a.jpg")
        assert list(disk.iterdir()) == []


def test_a_read_only_disk_is_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        make_read_only(disk)
        with pytest.raises(OSError, match="Read-only"):
            write_complete(disk / "a.jpg", b"x")
