"""Finding and reading calibration images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SourceError, UsageError
from runtime.image_batches import ImageBatches, find_images
from tests.calibration.tiny_network import write_images

SIZE_HW = (16, 24)


def test_a_folder_gives_letterboxed_batches(tmp_path: Path) -> None:
    images = find_images(str(write_images(tmp_path, 3)), SIZE_HW, 10)
    batches = list(images)
    assert len(images) == len(batches) == 3
    for batch in batches:
        assert batch.shape == (1, *SIZE_HW, 3) and batch.dtype == np.uint8
        assert batch.any()


def test_the_images_folder_of_a_data_set(tmp_path: Path) -> None:
    write_images(tmp_path / "images", 2)
    (tmp_path / "annotations.json").write_text("{}")
    assert len(find_images(str(tmp_path), SIZE_HW, 10)) == 2


def test_a_pattern_and_a_single_image(tmp_path: Path) -> None:
    write_images(tmp_path, 3)
    assert len(find_images(str(tmp_path / "00[01].png"), SIZE_HW, 10)) == 2
    assert len(find_images(str(tmp_path / "002.png"), SIZE_HW, 10)) == 1


@pytest.mark.parametrize(("most", "names"), [(1, ["000"]), (2, ["000", "009"]), (99, None)])
def test_a_selection_is_spread_evenly(tmp_path: Path, most: int, names: list[str] | None) -> None:
    paths = find_images(str(write_images(tmp_path, 10)), SIZE_HW, most).paths
    assert [p.stem for p in paths] == (names or [f"{i:03d}" for i in range(10)])


@pytest.mark.parametrize(("total", "count", "chosen"), [(9, 3, [0, 4, 8]), (2, 3, [0, 1])])
def test_a_few_are_spread_over_the_list(total: int, count: int, chosen: list[int]) -> None:
    few = ImageBatches(tuple(Path(str(i)) for i in range(total)), SIZE_HW).spread(count)
    assert [int(path.name) for path in few.paths] == chosen and few.size_hw == SIZE_HW


def test_the_digest_follows_names_and_contents(tmp_path: Path) -> None:
    first = find_images(str(write_images(tmp_path / "a", 3)), SIZE_HW, 10)
    same = find_images(str(write_images(tmp_path / "b", 3)), SIZE_HW, 10)
    assert first.digest() == same.digest()
    cv2.imwrite(str(tmp_path / "b" / "001.png"), np.zeros((4, 4, 3), np.uint8))
    assert first.digest() != same.digest()
    assert first.digest() != find_images(str(tmp_path / "a"), SIZE_HW, 2).digest()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 5), np.uint8),
        np.full((1, 1, 3), 9, np.uint8),
        np.full((8, 8, 3), 40000, np.uint16),
    ],
    ids=["grey", "pixel", "16-bit"],
)
def test_odd_images_become_uint8_bgr(tmp_path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "odd.png"), image)
    (batch,) = find_images(str(tmp_path), SIZE_HW, 1)
    assert batch.shape == (1, *SIZE_HW, 3) and batch.dtype == np.uint8


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no image"):
        find_images(str(tmp_path), SIZE_HW, 10)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    (tmp_path / "zzz.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"zzz\.png"):
        list(find_images(str(tmp_path), SIZE_HW, 10))


def test_a_count_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--max-images got 0; expected at least 1"):
        find_images(str(write_images(tmp_path, 1)), SIZE_HW, 0)
