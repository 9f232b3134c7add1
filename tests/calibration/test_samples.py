"""Choosing images: evenly, by a seed, balanced by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.samples import SampleChoice, balanced_order, choose_samples
from runtime.errors import DatasetError, SourceError
from tests.calibration.tiny_network import write_images
from tests.detectors.coco_files import annotation, write_coco

SIZE_HW = (16, 16)


def names(choice: SampleChoice) -> list[str]:
    images = choose_samples(choice, SIZE_HW)
    assert images.size_hw == SIZE_HW
    return [path.stem for path in images.paths]


@pytest.fixture(name="folder")
def ten_images(tmp_path: Path) -> str:
    return str(write_images(tmp_path / "images", 10))


@pytest.fixture(name="coco")
def unbalanced_set(tmp_path: Path) -> Path:
    """Three images of "early", one of "late", one without objects."""
    rows = [annotation(image_id=10 + index) for index in range(3)]
    return write_coco(tmp_path / "set", [*rows, annotation(13, 7)], images=5)


def test_without_a_seed_the_selection_is_even(folder: str) -> None:
    assert names(SampleChoice(folder, 4)) == ["000", "003", "006", "009"]


def test_a_seed_draws_the_same_images_again(folder: str) -> None:
    first, again, other = (names(SampleChoice(folder, 4, seed)) for seed in (1, 1, 2))
    assert first == again == sorted(set(first))
    assert len(first) == 4 and first != other


def test_more_than_there_are_gives_all(folder: str) -> None:
    assert len(names(SampleChoice(folder, 99, 3))) == 10


def test_seeds_reach_every_image(folder: str) -> None:
    assert len({names(SampleChoice(folder, 1, seed))[0] for seed in range(100)}) == 10


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no image"):
        names(SampleChoice(str(tmp_path / "empty"), 4, 1))


@pytest.mark.parametrize("seed", range(5))
def test_balance_shows_the_rare_class(coco: Path, seed: int) -> None:
    assert "3" in names(SampleChoice(str(coco), 2, seed, coco))


def test_balance_takes_images_without_objects_last(coco: Path) -> None:
    assert "4" not in names(SampleChoice(str(coco), 4, 0, coco))
    assert len(names(SampleChoice(str(coco), 99, 0, coco))) == 5


def test_annotations_may_lie_elsewhere(coco: Path, tmp_path: Path) -> None:
    file = (coco / "annotations.json").rename(tmp_path / "instances.json")
    assert "3" in names(SampleChoice(str(coco / "images"), 2, 0, file))


def test_listed_images_that_are_missing_are_left_out(coco: Path) -> None:
    (coco / "images" / "3.png").unlink()
    assert len(names(SampleChoice(str(coco), 99, 0, coco))) == 4


def test_annotations_of_other_images_are_refused(coco: Path, folder: str) -> None:
    with pytest.raises(DatasetError, match="name the folder of the images"):
        names(SampleChoice(folder, 2, 0, coco))


def test_missing_annotations_are_refused(folder: str) -> None:
    with pytest.raises(DatasetError, match="expected COCO annotations"):
        names(SampleChoice(folder, 2, 0, Path(folder)))


def shown(class_ids: list[list[int]], order: list[int], most: int) -> np.ndarray:
    """Return how many of the first images show each class."""
    classes = [np.unique(class_ids[index]) for index in order[:most]]
    return np.bincount(np.concatenate(classes).astype(int), minlength=3)


@pytest.mark.parametrize("seed", range(3))
def test_every_beginning_is_balanced(seed: int) -> None:
    ids = [[0, 0, 0]] * 60 + [[1]] * 20 + [[2]] * 20
    order = balanced_order([np.array(i) for i in ids], seed)
    assert sorted(order) == list(range(100))
    for most in (3, 12, 60):
        assert shown(ids, order, most).tolist() == [most // 3] * 3


def test_images_with_several_classes_count_for_each() -> None:
    ids = [[0, 1]] * 4 + [[2]] * 4
    order = balanced_order([np.array(i) for i in ids], 0)
    assert shown(ids, order, 4).tolist() == [2, 2, 2]


def test_without_any_object_the_order_is_drawn() -> None:
    order = balanced_order([np.empty(0, np.int64)] * 20, 0)
    assert sorted(order) == list(range(20)) and order != list(range(20))
