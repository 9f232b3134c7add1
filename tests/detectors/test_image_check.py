"""Looking at every image before a run."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detectors.dataset import read_coco
from detectors.dataset_report import Finding
from detectors.image_check import check_images
from runtime.errors import DatasetError
from tests.detectors.coco_files import annotation, write_coco


def test_a_sound_set_stays_as_it_is(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation()]))
    checked = check_images(coco)
    assert [e.image_id for e in checked.examples] == [10, 11]
    assert checked.report == coco.report


def test_damaged_and_resized_images_are_left_out_and_counted(tmp_path):
    folder = write_coco(tmp_path, [annotation(), annotation(11), annotation(13)], images=4)
    (folder / "images" / "0.png").write_bytes(b"none")
    cv2.imwrite(str(folder / "images" / "1.png"), np.zeros((32, 16, 3), np.uint8))
    coco = read_coco(folder)
    checked = check_images(coco, threads=3)
    assert [example.image_id for example in checked.examples] == [12, 13]
    assert (checked.report.images, checked.report.objects) == (2, 1)
    assert checked.report.cases[Finding.IMAGE_DAMAGED] == ["0.png"]
    assert checked.report.cases[Finding.IMAGE_RESIZED] == ["1.png"]
    assert len(coco.examples) == 4 and coco.report.problems == 0  # not modified


def test_a_set_without_usable_images_is_refused(tmp_path):
    folder = write_coco(tmp_path, [], images=1)
    (folder / "images" / "0.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"none of 1 images .* can be used, the first is 0\.png"):
        check_images(read_coco(folder))
