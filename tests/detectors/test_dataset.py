"""COCO folders and the training examples made of them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from detectors.augment import AugmentSpec
from detectors.dataset import EpochSampler, TrainingSet, read_coco
from detectors.targets import TargetSpec
from runtime.errors import DatasetError


def write_coco(folder, annotations, images=2):
    (folder / "images").mkdir(parents=True)
    records = []
    for index in range(images):
        image = np.full((32, 32, 3), 50 * (index + 1), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{index}.png"), image)
        records.append({"id": index + 10, "file_name": f"{index}.png", "height": 32, "width": 32})
    categories = [{"id": 7, "name": "late"}, {"id": 3, "name": "early"}]
    body = {"images": records, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(body))
    return folder


def annotation(image_id=10, category_id=3, bbox=(2, 4, 20, 10), **more):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox), **more}


def test_categories_are_numbered_by_ascending_id(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation(), annotation(11, 7)]))
    assert coco.class_names == ("early", "late") and coco.category_ids == (3, 7)
    assert coco.examples[0].boxes_xyxy.tolist() == [[2, 4, 22, 14]]
    assert [example.class_ids.tolist() for example in coco.examples] == [[0], [1]]


def test_crowds_are_left_out_and_empty_images_stay(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation(iscrowd=1)]))
    assert [example.boxes_xyxy.shape for example in coco.examples] == [(0, 4), (0, 4)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no .*annotations.json"),
        ("{", "not a COCO annotation file"),
        ("[]", "not a COCO annotation file"),
        ('{"images": [{"id": 1}], "annotations": ["x"], "categories": []}', "not a COCO"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no images"),
        ('{"images": [{"id": 1}], "annotations": [{"image_id": 2}]}', "not a COCO"),
    ],
)
def test_bad_annotations_are_one_error(tmp_path, content, message):
    if content is not None:
        (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_coco(tmp_path)


def test_an_image_that_is_missing_is_named_before_any_work(tmp_path):
    write_coco(tmp_path, [annotation()])
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"no image .*1\.png; expected every image"):
        read_coco(tmp_path)


def test_training_examples_depend_on_seed_epoch_and_index_alone(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation()]))
    spec = AugmentSpec((32, 32)), TargetSpec(2, (32, 32), (8, 8))
    examples = [TrainingSet(coco, *spec, seed=1)[(epoch, 0)] for epoch in (0, 0, 1)]
    assert examples[0]["image"].shape == (32, 32, 3)
    assert examples[0]["tl_heat"].shape == (2, 8, 8)
    assert (examples[0]["image"] == examples[1]["image"]).all()
    assert any((examples[0][key] != examples[2][key]).any() for key in examples[0])


def test_sampler_resumes_the_same_sequence_and_covers_each_epoch():
    def first(count, start):
        batches = iter(EpochSampler(10, 3, seed=4, first_step=start))
        return [next(batches) for _ in range(count)]

    whole = first(8, 0)
    assert first(3, 5) == whole[5:8]
    seen = [index for batch in whole[:3] for epoch, index in batch]
    assert len(set(seen)) == 9 and {epoch for batch in whole[3:6] for epoch, _ in batch} == {1}
    assert [i for b in whole[:3] for _, i in b] != [i for b in whole[3:6] for _, i in b]


def test_sampler_refuses_a_batch_larger_than_the_set():
    with pytest.raises(DatasetError, match="lower --batch"):
        EpochSampler(2, 3, seed=0)
