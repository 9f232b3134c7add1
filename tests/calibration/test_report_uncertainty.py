"""The standard error of a difference in AP."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration import report_uncertainty
from calibration.report_measure import read_images
from calibration.report_uncertainty import standard_error
from tests.calibration.report_sets import CLASS_NAMES, rows_of_set, write_set


@pytest.fixture(name="folder", scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("sets") / "set", 20)


@pytest.fixture(autouse=True)
def few_images_are_enough(monkeypatch):
    monkeypatch.setattr(report_uncertainty, "FEWEST_IMAGES", 20)


def test_equal_models_differ_by_nothing(folder: Path):
    images, rows = read_images(folder, None, CLASS_NAMES), rows_of_set(folder, (0.9, 0.8, 0.5))
    assert standard_error(images, rows, rows) == 0


def test_what_is_lost_everywhere_is_no_chance_and_what_is_lost_here_and_there_is(folder: Path):
    images, rows = read_images(folder, None, CLASS_NAMES), rows_of_set(folder, (0.9, 0.8, 0.5))
    nowhere_circle = [row for row in rows if row["category_id"] != 2]
    assert standard_error(images, nowhere_circle, rows) == pytest.approx(0, abs=1e-9)
    lost = {1, 2, 3, 4, 5}  # five images fall into five of the ten groups
    here_and_there = [r for r in rows if r["category_id"] != 2 or r["image_id"] not in lost]
    error = standard_error(images, here_and_there, rows)
    assert error is not None and 0.02 < error < 0.1  # of 20 images, 5 lose half: 0.5 * 0.1


def test_too_few_images_tell_nothing(folder: Path):
    images, rows = read_images(folder, 19, CLASS_NAMES), rows_of_set(folder, (0.9, 0.8, 0.5))
    assert standard_error(images, rows, rows) is None
