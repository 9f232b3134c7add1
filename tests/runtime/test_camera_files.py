"""Folders of images of every kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.camera_files import ImageFilesSource, list_images
from runtime.errors import SourceError
from tests.builders import picture, write_images


def read_all(pattern: Path | str) -> list[np.ndarray]:
    source, images = ImageFilesSource(str(pattern)), []
    while (frame := source.read()) is not None:
        images.append(frame.image)
    return images


def test_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.jpg", 1), ("c.BMP", 3)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), value * 50, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    source = ImageFilesSource(str(tmp_path))
    frames = [source.read() for _ in range(3)]
    assert [frame.source for frame in frames if frame] == ["a.jpg", "b.png", "c.BMP"]
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2]
    assert source.read() is None
    assert not source.is_live


def test_a_pattern_and_a_single_file(tmp_path: Path) -> None:
    write_images(tmp_path / "shots", 3)
    assert len(list_images(str(tmp_path / "shots" / "[01].png"))) == 2
    assert len(read_all(tmp_path / "shots" / "2.png")) == 1


@pytest.mark.parametrize(
    "stored",
    [
        np.full((4, 6), 200, np.uint8),
        np.full((4, 6), 200 << 8, np.uint16),
        np.full((4, 6, 3), 200 << 8, np.uint16),
        np.full((4, 6, 4), 200, np.uint8),
        np.full((1, 1, 3), 200, np.uint8),
        np.full((1, 1), 200 << 8, np.uint16),
    ],
    ids=lambda image: f"{image.dtype}{image.shape}",
)
def test_grey_sixteen_bit_transparent_and_tiny_images_work(
    tmp_path: Path, stored: np.ndarray
) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), stored)
    (image,) = read_all(tmp_path)
    assert image.dtype == np.uint8
    assert image.shape == (*stored.shape[:2], 3)
    assert (image == 200).all()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no image"])
def test_a_broken_image_is_named_and_nothing_else_printed(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(SourceError, match=r"broken\.png cannot be decoded"):
        read_all(tmp_path)
    assert capfd.readouterr().err == ""


def test_an_image_that_states_an_absurd_size_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pgm"
    path.write_bytes(b"P5 200000 200000 255\n")
    with pytest.raises(SourceError, match=r"bomb\.pgm cannot be decoded"):
        read_all(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_named(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = tmp_path / f"cut.{suffix}"
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=rf"cut\.{suffix} cannot be decoded"):
        read_all(tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("place", [20, 200, -20])
def test_a_png_with_a_wrong_bit_is_named_and_nothing_else_printed(
    tmp_path: Path, place: int, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = bytearray(cv2.imencode(".png", noise)[1].tobytes())
    data[place] ^= 4
    (tmp_path / "bit.png").write_bytes(data)
    with pytest.raises(SourceError, match=r"bit\.png cannot be decoded"):
        read_all(tmp_path)
    assert capfd.readouterr().err == ""


def test_a_wrong_check_sum_of_a_comment_does_no_harm(tmp_path: Path) -> None:
    data = cv2.imencode(".png", picture())[1].tobytes()
    comment = (4).to_bytes(4, "big") + b"tEXta\0bc" + b"none"  # no CRC-32
    (tmp_path / "x.png").write_bytes(data[:33] + comment + data[33:])
    assert (read_all(tmp_path)[0] == picture()).all()


def test_bytes_after_the_end_of_a_photo_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"  # phones append a depth map, for one
    cv2.imwrite(str(path), picture())
    path.write_bytes(path.read_bytes() + b"more" * 100)
    assert read_all(tmp_path)[0].shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["empty", "missing", "*.png"])
def test_a_folder_or_pattern_without_images_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"(holds|matches) no image; expected files that end in"):
        ImageFilesSource(str(tmp_path / name))


def test_a_folder_named_like_an_image_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(SourceError, match="holds no image"):
        ImageFilesSource(str(tmp_path))


def test_after_closing_it_has_ended(tmp_path: Path) -> None:
    source = ImageFilesSource(str(write_images(tmp_path)))
    source.close()
    assert source.read() is None
