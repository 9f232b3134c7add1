"""Images and categories of annotation files: what is refused, left out and counted."""

from __future__ import annotations

import pytest

from detectors.coco_annotations import parse_annotations
from detectors.dataset_report import DatasetReport, Finding
from runtime.errors import DatasetError
from tests.detectors.coco_files import CATEGORIES, annotation, image_record, write_images


@pytest.fixture(name="folder", scope="module")
def images_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 2)
    write_images(folder / "more", 1)
    return folder


def parse(folder, annotations=(), images=None, categories=CATEGORIES):
    records = [image_record(0), image_record(1)] if images is None else images
    body = {"images": records, "annotations": list(annotations), "categories": categories}
    return parse_annotations(body, folder)


def found(report: DatasetReport) -> dict[Finding, int]:
    """Return the counts, but for images without objects."""
    return {f: count for f, count in report.counts.items() if f is not Finding.IMAGE_EMPTY}


def test_categories_are_numbered_by_ascending_id_without_gaps(folder):
    parsed = parse(folder, [annotation(), annotation(11, 7)])
    assert parsed.class_names == ("early", "late") and parsed.category_ids == (3, 7)
    assert parsed.examples[0].boxes_xyxy.tolist() == [[2, 4, 22, 14]]
    assert [example.class_ids.tolist() for example in parsed.examples] == [[0], [1]]
    assert not parsed.report.counts
    assert (parsed.report.images, parsed.report.objects) == (2, 2)


def test_images_without_objects_stay_and_are_counted(folder):
    parsed = parse(folder, [annotation(11)])
    assert [example.image_id for example in parsed.examples] == [10, 11]
    assert parsed.examples[0].boxes_xyxy.shape == (0, 4)
    assert parsed.report.counts == {Finding.IMAGE_EMPTY: 1} and parsed.report.problems == 0
    assert parsed.report.cases[Finding.IMAGE_EMPTY] == ["0.png"]


def test_missing_images_are_left_out_with_their_objects(folder):
    records = [image_record(5), image_record(0), image_record(1), image_record(6)]
    parsed = parse(folder, [annotation(15), annotation(11), annotation(10)], records)
    assert [example.path for example in parsed.examples] == [folder / "0.png", folder / "1.png"]
    assert [example.boxes_xyxy.shape[0] for example in parsed.examples] == [1, 1]
    assert found(parsed.report) == {Finding.IMAGE_MISSING: 2}
    assert parsed.report.cases[Finding.IMAGE_MISSING] == ["5.png", "6.png"]


def test_a_folder_with_none_of_the_images_is_refused(folder):
    with pytest.raises(DatasetError, match=r"no image .*none/0\.png, nor any other"):
        parse(folder / "none")


def test_a_folder_is_no_image(folder):
    parsed = parse(folder, images=[image_record(0), image_record(1, file_name="more")])
    assert found(parsed.report) == {Finding.IMAGE_MISSING: 1}


def test_images_may_lie_in_subfolders(folder):
    records = [image_record(0), image_record(1, file_name="more/0.png")]
    parsed = parse(folder, images=records)
    assert [e.path for e in parsed.examples] == [folder / "0.png", folder / "more" / "0.png"]


def test_an_image_listed_twice_counts_once(folder):
    parsed = parse(folder, [annotation()], [image_record(0), image_record(0), image_record(1)])
    assert len(parsed.examples) == 2 and len(parsed.examples[0].class_ids) == 1
    assert found(parsed.report) == {Finding.IMAGE_REPEATED: 1}
    assert parsed.report.cases[Finding.IMAGE_REPEATED] == ["0.png"]


def test_an_image_without_size_is_counted_and_its_boxes_are_not_cut(folder):
    sizes = [
        {"height": None},
        {"height": 0},
        {"width": "32"},
        {"width": -1},
        {"width": float("nan")},
    ]
    for size in sizes:
        parsed = parse(folder, [annotation(bbox=[1, 1, 90, 90])], [image_record(0, **size)])
        assert parsed.examples[0].boxes_xyxy.tolist() == [[1, 1, 91, 91]]
        assert parsed.examples[0].size_hw is None
        assert parsed.report.counts == {Finding.SIZE_UNKNOWN: 1}
    assert parse(folder).examples[0].size_hw == (32, 32)


def test_a_category_listed_twice_counts_once(folder):
    parsed = parse(folder, [annotation(10, 7)], categories=[*CATEGORIES, CATEGORIES[0]])
    assert parsed.class_names == ("early", "late") and parsed.examples[0].class_ids.tolist() == [1]
    assert found(parsed.report) == {Finding.CATEGORY_REPEATED: 1}


def test_categories_that_share_a_name_stay_apart(folder):
    parsed = parse(folder, [annotation(10, 7)], categories=[*CATEGORIES, {"id": 1, "name": "late"}])
    assert parsed.class_names == ("late", "early", "late")
    assert parsed.examples[0].class_ids.tolist() == [2]
    assert found(parsed.report) == {Finding.NAME_SHARED: 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "list no images; expected at least one"),
        ({"categories": []}, "list no categories; expected at least one"),
        (
            {"images": [image_record(0), image_record(0, file_name="1.png")]},
            "0.png and 1.png share",
        ),
        ({"images": [image_record(0, id="a")]}, "image id 'a'; expected a whole number"),
        ({"images": [image_record(0, id=True)]}, "image id True; expected a whole number"),
        ({"images": [image_record(0, id=2**63)]}, "image id 9223372036854775808"),
        ({"images": [image_record(0, file_name="")]}, "file name ''; expected text"),
        ({"images": [image_record(0, file_name=5)]}, "file name 5; expected text"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "'a' and 'b' share"),
        ({"categories": [{"id": "1", "name": "a"}]}, "category id '1'; expected a whole number"),
        ({"categories": [{"id": 1, "name": None}]}, "named None; expected text"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(folder, changes, message):
    with pytest.raises(DatasetError, match=message):
        parse(folder, **changes)
