"""COCO sets, the training examples made of them, and the order in which they come."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from detectors.augment import AugmentSpec, ZoomAugment
from detectors.augment_published import PublishedAugment
from detectors.dataset import MAX_REPLACEMENTS, EpochSampler, TrainingSet, read_coco
from detectors.dataset_report import Finding
from detectors.targets import TargetSpec
from runtime.errors import DatasetError
from tests.detectors.coco_files import annotation, image_record, write_coco

TARGETS = TargetSpec(2, (32, 32), (8, 8))
ZOOM = ZoomAugment(AugmentSpec((32, 32)))
PUBLISHED = PublishedAugment((32, 32))


def keep(rng, image, boxes_xyxy):
    """Change nothing."""
    return image, boxes_xyxy, np.arange(len(boxes_xyxy))


def test_a_folder_holds_its_annotations_and_images(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation(), annotation(11, 7)]))
    assert coco.class_names == ("early", "late") and coco.category_ids == (3, 7)
    assert coco.folder == tmp_path and coco.annotation_file == tmp_path / "annotations.json"
    assert coco.examples[1].path == tmp_path / "images" / "1.png"
    assert coco.report.summary() == "2 images, 2 objects"


def test_a_file_may_lie_apart_from_its_images_as_in_coco_itself(tmp_path):
    folder = write_coco(tmp_path, [annotation()])
    (folder / "annotations").mkdir()
    file = folder / "annotations" / "instances_train2017.json"
    (folder / "annotations.json").rename(file)
    (folder / "images").rename(folder / "train2017")
    coco = read_coco(file, folder / "train2017")
    assert coco.examples[0].path == folder / "train2017" / "0.png"
    assert coco.annotation_file == file and coco.folder == folder / "annotations"
    with pytest.raises(DatasetError, match=r"no image .*/annotations/images/0\.png"):
        read_coco(file)


def test_a_folder_may_have_its_images_elsewhere(tmp_path):
    folder = write_coco(tmp_path, [annotation()])
    (folder / "images").rename(folder / "pictures")
    assert read_coco(folder, folder / "pictures").examples[0].path.parent.name == "pictures"


def test_outlines_are_skipped_whatever_their_form(tmp_path):
    outlines = [[[1, 2.5, -3e-2]], [], [[1], [2, 3]], {"counts": [1, 2], "size": [3, 4]}, "text", 0]
    entries = [annotation(id=i, bbox=[i, 1, 5, 5], segmentation=o) for i, o in enumerate(outlines)]
    name = 'an "segmentation": [[1]], a.png'
    folder = write_coco(tmp_path, entries, categories=[{"id": 3, "name": name}])
    coco = read_coco(folder)
    assert coco.examples[0].boxes_xyxy[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert coco.class_names == (name,)  # as text, it is left alone
    text = (folder / "annotations.json").read_text()
    (folder / "annotations.json").write_text(json.dumps(json.loads(text), indent=2))
    assert len(read_coco(folder).examples[0].class_ids) == 6


def test_crowds_are_not_trained_on(tmp_path):
    coco = read_coco(write_coco(tmp_path, [annotation(iscrowd=1)]))
    assert [example.boxes_xyxy.shape for example in coco.examples] == [(0, 4), (0, 4)]
    assert coco.report.counts == {Finding.CROWD: 1, Finding.IMAGE_EMPTY: 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a COCO annotation file"),
        ("[]", "not a COCO annotation file"),
        ("[" * 100000, "not a COCO annotation file"),
        ('{"images": [{"id": 1}], "annotations": ["x"], "categories": []}', "not a COCO"),
        ('{"images": [], "annotations": [], "categories": []}', r"json: .*list no images"),
        ('{"images": [{"id": 1}], "annotations": [{"image_id": 2}]}', "not a COCO"),
        ('{"images": {"a": 1}, "annotations": [], "categories": []}', "not a COCO"),
    ],
)
def test_bad_annotations_are_one_error(tmp_path, content, message):
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_coco(tmp_path)


def test_annotations_that_are_no_text_are_one_error(tmp_path):
    (tmp_path / "annotations.json").write_bytes(bytes(range(128, 256)))
    with pytest.raises(DatasetError, match="not a COCO annotation file"):
        read_coco(tmp_path)


def test_annotations_that_are_missing_are_one_error(tmp_path):
    with pytest.raises(DatasetError, match=r"no .*annotations.json; .*detectors.shapes --out"):
        read_coco(tmp_path)
    with pytest.raises(DatasetError, match=r"no .*a.json; .*check the path"):
        read_coco(tmp_path / "a.json")


@pytest.mark.parametrize("augmentation", [ZOOM, PUBLISHED])
def test_training_examples_depend_on_seed_epoch_and_index_alone(tmp_path, augmentation):
    coco = read_coco(write_coco(tmp_path, [annotation(), annotation(11)]))
    examples = [
        TrainingSet(coco, augmentation, TARGETS, seed)[key]
        for seed, *key in ((1, 0, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0))
    ]
    first, again, *others = examples
    assert first["image"].shape == (32, 32, 3) and first["image"].dtype == torch.uint8
    assert first["tl_heat"].shape == (2, 8, 8)
    assert first["image_id"].item() == 10 and first["image_id"].dtype == torch.int64
    assert all(torch.equal(first[key], again[key]) for key in first)
    for other in others:
        assert not torch.equal(first["image"], other["image"])


def test_classes_follow_the_boxes_that_the_augmentation_kept(tmp_path):
    def keep_second(rng, image, boxes_xyxy):
        return image, boxes_xyxy[1:], np.array([1])

    coco = read_coco(write_coco(tmp_path, [annotation(), annotation(10, 7, [8, 8, 9, 9])]))
    item = TrainingSet(coco, keep_second, TARGETS, seed=1)[0, 0]
    assert item["tl_heat"].amax((1, 2)).tolist() == [0, 1] and item["mask"].sum() == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_stack_images_targets_and_image_ids(tmp_path, workers):
    coco = read_coco(write_coco(tmp_path, [annotation()], images=4))
    dataset = TrainingSet(coco, keep, TARGETS, seed=1)
    loader = DataLoader(dataset, batch_sampler=EpochSampler(4, 4, 0), num_workers=workers)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 32, 32, 3) and batch["mask"].shape == (4, 128)
    assert batch["image"][:, 0, 0, 0].tolist() == [50 * (i - 9) for i in batch["image_id"]]
    with_object = batch["image_id"] == 10
    assert torch.equal(batch["mask"].any(1), with_object)
    assert torch.equal(batch["tl_heat"].amax((1, 2, 3)) == 1, with_object)


def test_the_next_image_takes_the_place_of_an_unusable_one(tmp_path, capsys):
    folder = write_coco(tmp_path, [annotation(12)], images=3)
    (folder / "images" / "0.png").write_bytes(b"cut")
    cv2.imwrite(str(folder / "images" / "1.png"), np.zeros((16, 32, 3), np.uint8))
    dataset = TrainingSet(read_coco(folder), keep, TARGETS, seed=1)
    for epoch in range(2):
        item = dataset[epoch, 0]
        assert item["image_id"].item() == 12 and item["mask"].sum() == 1
    assert dataset[0, 1]["image_id"].item() == 12
    lines = capsys.readouterr().err.splitlines()  # each is told once
    assert len(lines) == 2 and all("; another image takes its place" in line for line in lines)
    assert "0.png cannot be decoded" in lines[0] and "1.png is 32x16" in lines[1]


def test_a_set_of_unusable_images_is_one_error(tmp_path, capsys):
    folder = write_coco(tmp_path, [annotation()], images=1)
    records = [image_record(0, id=number) for number in range(60)]
    body = json.loads((folder / "annotations.json").read_text()) | {"images": records}
    (folder / "annotations.json").write_text(json.dumps(body))
    (folder / "images" / "0.png").write_bytes(b"cut")
    dataset = TrainingSet(read_coco(folder), keep, TARGETS, seed=1)
    with pytest.raises(DatasetError, match=f"{MAX_REPLACEMENTS + 1} images in a row cannot be"):
        dataset[0, 30]


def first(count: int, sampler: EpochSampler) -> list[list[tuple[int, int]]]:
    return list(itertools.islice(sampler, count))


def test_sampler_resumes_the_same_sequence_and_covers_each_epoch():
    whole = first(8, EpochSampler(10, 3, seed=4))
    assert first(3, EpochSampler(10, 3, seed=4, first_step=5)) == whole[5:8]
    seen = [index for batch in whole[:3] for epoch, index in batch]
    assert len(set(seen)) == 9 and {epoch for batch in whole[3:6] for epoch, _ in batch} == {1}
    assert [i for b in whole[:3] for _, i in b] != [i for b in whole[3:6] for _, i in b]
    assert first(1, EpochSampler(10, 3, seed=5)) != whole[:1]


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 2), (2, 1), (2, 3), (3, 2), (6, 1)])
def test_every_split_of_a_step_holds_the_same_images(processes, accumulate):
    steps, whole = 5, first(5, EpochSampler(27, 12, seed=4, first_step=1))
    shares = [
        first(steps * accumulate, EpochSampler(27, 12, 4, 1, process, processes, accumulate))
        for process in range(processes)
    ]
    for step in range(steps):
        rounds = range(step * accumulate, (step + 1) * accumulate)
        parts = [shares[process][i] for i in rounds for process in range(processes)]
        assert {len(part) for part in parts} == {12 // processes // accumulate}
        assert list(itertools.chain(*parts)) == whole[step]


def test_accumulating_sees_what_processes_see():
    alone = first(6, EpochSampler(10, 4, seed=4, accumulate=2))
    two = [first(3, EpochSampler(10, 4, seed=4, process=p, processes=2)) for p in range(2)]
    assert alone == [part for pair in zip(*two, strict=True) for part in pair]


def test_sampler_refuses_a_batch_larger_than_the_set():
    with pytest.raises(DatasetError, match="got 2 images for batches of 3; lower --batch"):
        EpochSampler(2, 3, seed=0)


def test_sampler_refuses_a_batch_without_equal_parts():
    message = "batches of 8 images for 2 processes of 3 micro-batches; expected a multiple of 6"
    with pytest.raises(DatasetError, match=message):
        EpochSampler(20, 8, seed=0, processes=2, accumulate=3)
