"""Packed examples read like a tuple, and load their images."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.examples import Example, ExampleTable, ImageTable, ObjectTable, load_image
from runtime.errors import SourceError

IMAGES = ImageTable(
    ids=np.array([4, 9, 2]),
    sizes_hw=np.array([[32, 48], [0, 0], [8, 8]], np.int32),
    names="a.pngçé.pngsub/c.png".encode(),
    name_ends=np.array([0, 5, 13, 22]),
)
OBJECTS = ObjectTable(
    boxes_xyxy=np.arange(16.0).reshape(4, 4),
    class_ids=np.array([5, 6, 7, 8]),
    areas=np.ones(4),
    crowd=np.array([False, True, False, False]),
    starts=np.array([0, 3, 3, 4]),
)


@pytest.fixture(name="table")
def example_table() -> ExampleTable:
    return ExampleTable(Path("images"), IMAGES, OBJECTS, np.arange(3))


def test_each_row_has_its_name_size_and_objects_without_crowds(table):
    first, second, third = table
    assert first.image_id == 4 and first.path == Path("images/a.png")
    assert first.size_hw == (32, 48) and first.class_ids.tolist() == [5, 7]
    assert first.boxes_xyxy.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert second.path == Path("images/çé.png") and second.size_hw is None
    assert second.boxes_xyxy.shape == (0, 4) and second.class_ids.shape == (0,)
    assert third.path == Path("images/sub/c.png") and third.class_ids.tolist() == [8]


def test_it_reads_like_a_tuple(table):
    assert len(table) == 3 and table[-1].image_id == 2
    assert [example.image_id for example in table[1:]] == [9, 2]
    assert [example.image_id for example in table[1:][::-1]] == [2, 9]
    assert len(table[:None]) == 3 and len(table[5:]) == 0
    with pytest.raises(IndexError):
        table[3]


def test_it_travels_to_other_processes(table):
    copy = pickle.loads(pickle.dumps(table))
    assert copy[1].path == table[1].path and (copy[0].boxes_xyxy == table[0].boxes_xyxy).all()


def example(path: Path, size_hw: tuple[int, int] | None) -> Example:
    return Example(1, path, size_hw, np.zeros((0, 4)), np.zeros(0, np.int64))


@pytest.mark.parametrize("size_hw", [(6, 8), None])
def test_an_image_of_the_listed_size_is_loaded(tmp_path, size_hw):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((6, 8, 3), 9, np.uint8))
    image = load_image(example(tmp_path / "a.png", size_hw))
    assert image.shape == (6, 8, 3) and (image == 9).all()


def test_another_size_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(SourceError, match=r"a.png is 8x6, its annotations list 6x8; expected"):
        load_image(example(tmp_path / "a.png", (8, 6)))


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(SourceError, match="cannot be decoded"):
        load_image(example(tmp_path / "a.png", None))
