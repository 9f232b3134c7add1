"""Training targets of CenterNets: by hand, against the golden radii, and at the limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.centernet_targets import (
    CenterTargetSpec,
    build_center_targets,
    center_gaussian_radius,
)
from detectors.gaussian import gaussian_radius
from runtime.errors import DatasetError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPEC = CenterTargetSpec(num_classes=2, input_hw=(32, 64), output_hw=(8, 16), max_objects=3)


def test_radii_equal_those_of_the_published_code() -> None:
    with np.load(GOLDEN / "gaussian.npz") as golden:
        table = golden["radius_table"]
    got = [
        center_gaussian_radius(height, width, overlap) for height, width, overlap in table[:, :3]
    ]
    np.testing.assert_allclose(got, table[:, 5], rtol=1e-12)


def test_radii_are_not_those_of_cornernet() -> None:
    assert center_gaussian_radius(10.0, 20.0, 0.7) != pytest.approx(
        gaussian_radius(10.0, 20.0, 0.7), rel=0.1
    )


def test_one_box_by_hand() -> None:
    targets = build_center_targets(np.array([[9.0, 6.0, 50.0, 30.0]]), np.array([1]), SPEC)
    assert {name: (array.dtype.name, array.shape) for name, array in targets.items()} == {
        "hm": ("float32", (2, 8, 16)),
        "wh": ("float32", (3, 2)),
        "reg": ("float32", (3, 2)),
        "inds": ("int64", (3,)),
        "mask": ("uint8", (3,)),
    }
    # The centre is (29.5, 18) pixels, (7.375, 4.5) cells.
    assert targets["mask"].tolist() == [1, 0, 0]
    assert targets["inds"][0] == 4 * 16 + 7
    assert targets["reg"][0].tolist() == [0.375, 0.5]
    assert targets["wh"][0].tolist() == [10.25, 6.0]
    assert targets["hm"][1, 4, 7] == 1
    assert (targets["hm"] == 1).sum() == 1
    assert not targets["hm"][0].any()


def test_no_boxes_give_empty_targets() -> None:
    targets = build_center_targets(np.zeros((0, 4)), np.zeros(0, int), SPEC)
    assert not any(array.any() for array in targets.values())


def test_boxes_are_clipped_and_empty_ones_left_out() -> None:
    boxes = np.array([[-20.0, -20.0, 8.0, 8.0], [70.0, 0.0, 90.0, 8.0]])
    targets = build_center_targets(boxes, np.array([0, 1]), SPEC)
    assert targets["mask"].tolist() == [1, 0, 0]
    assert targets["wh"][0].tolist() == [2.0, 2.0]
    assert not targets["hm"][1].any()


def test_a_box_over_the_whole_input_has_its_centre_inside() -> None:
    targets = build_center_targets(np.array([[0.0, 0.0, 64.0, 32.0]]), np.array([0]), SPEC)
    assert targets["inds"][0] == 4 * 16 + 8
    assert targets["wh"][0].tolist() == [16.0, 8.0]


def test_too_many_boxes_keep_the_largest_in_order_and_all_peaks() -> None:
    corners = np.array([[0.0, 0.0], [16.0, 0.0], [32.0, 16.0], [48.0, 16.0]])
    sides = np.array([[8.0, 8.0], [12.0, 12.0], [4.0, 4.0], [10.0, 10.0]])
    targets = build_center_targets(np.hstack([corners, corners + sides]), np.zeros(4, int), SPEC)
    assert targets["wh"].tolist() == [[2.0, 2.0], [3.0, 3.0], [2.5, 2.5]]
    assert (targets["hm"] == 1).sum() == 4


def test_the_spec_builds_the_same() -> None:
    boxes, class_ids = np.array([[9.0, 6.0, 50.0, 30.0]]), np.array([1])
    built = SPEC.build(boxes, class_ids)
    for name, array in build_center_targets(boxes, class_ids, SPEC).items():
        np.testing.assert_array_equal(built[name], array)


@pytest.mark.parametrize(
    ("boxes", "class_ids", "said"),
    [
        (np.zeros((2, 4)), np.zeros(1, int), "2, 4"),
        (np.array([[0.0, 0.0, np.nan, 4.0]]), np.zeros(1, int), "not finite"),
        (np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([2]), "class id 2; expected 0 to 1"),
    ],
)
def test_wrong_annotations_are_named(boxes: np.ndarray, class_ids: np.ndarray, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        build_center_targets(boxes, class_ids, SPEC)
