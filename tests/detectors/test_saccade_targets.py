"""Targets of crops against the golden data, and where objects stop to count."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.saccade_targets import (
    SaccadeTargetSpec,
    attention_targets,
    build_saccade_targets,
)
from runtime.contract import ATTENTION_NAMES
from runtime.errors import DatasetError
from tests.detectors.golden_networks import GOLDEN

SPEC = SaccadeTargetSpec(80, (255, 255), (64, 64))
SMALL = SaccadeTargetSpec(2, (64, 128), (16, 32), max_objects=4)


def golden_crop(image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat the recorded choices: what the crop shows of each box, its class and its share."""
    with np.load(GOLDEN / "targets_inputs.npz") as inputs:
        height, width = inputs[f"image{image}"].shape[:2]
        rows = inputs[f"boxes{image}"].astype(np.float32)
    with np.load(GOLDEN / "targets_saccade_64.npz") as choices:
        scale = float(choices["scale"][image])  # NumPy 1 took it for a float32 beside such an array
        center_yx, border = choices["crop_center_yx"][image], choices["crop_border"][image]
    inside, rows = clip(rows, (0, height, 0, width), rows)
    whole = rows.copy()
    whole[:, :4] *= scale
    inside[:, :4] *= scale
    inside[:, :4] -= np.tile(center_yx[::-1] - 127, 2)
    visible, whole = clip(inside, border, whole)
    shares = area(visible) / area(whole)
    return visible[:, :4], visible[:, 4].astype(int) - 1, shares


def clip(
    rows: np.ndarray, border: tuple[float, ...], others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clip to the last pixel inside, and drop what is empty then, from ``others`` as well."""
    rows, (top, bottom, left, right) = rows.copy(), border
    rows[:, 0:4:2] = rows[:, 0:4:2].clip(left, right - 1)
    rows[:, 1:4:2] = rows[:, 1:4:2].clip(top, bottom - 1)
    kept = (rows[:, 2:4] > rows[:, :2]).all(axis=1)
    return rows[kept], others[kept]


def area(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 2:4] - rows[:, :2]).prod(axis=1)


@pytest.mark.parametrize("image", range(4))
def test_equals_the_golden_data(image: int) -> None:
    targets = build_saccade_targets(*golden_crop(image), SPEC)
    with np.load(GOLDEN / "targets_saccade_64.npz") as golden:
        choices = {"images_u8", "scale", "ref_ind", "crop_center_yx", "crop_border"}
        assert set(targets) == set(golden.files) - choices
        for key, got in targets.items():
            np.testing.assert_array_equal(got, golden[key][image], err_msg=key, strict=True)


def test_the_golden_data_has_objects_of_every_kind() -> None:
    with np.load(GOLDEN / "targets_saccade_64.npz") as golden:
        assert all(golden[name].any() for name in ATTENTION_NAMES)
        assert (golden["tl_valid"] == 0).any()
        assert golden["mask"].sum() == 32


@pytest.mark.parametrize(("side", "found"), [(15, False), (16, True)])
def test_small_objects_are_neither_found_nor_background(side: int, found: bool) -> None:
    targets = SMALL.build(np.array([[4, 4, 4 + side, 8]]), np.array([1]))
    assert targets["mask"].sum() == found
    assert (targets["tl_heat"] == 1).any() == found
    assert (targets["tl_valid"][1, 1, 1] == 1) == found
    assert targets["tl_valid"][0].all()
    assert targets["att2"][0, (4 + 8) // 2 // 4, (8 + side) // 2 // 4] == 1


@pytest.mark.parametrize(("hidden", "found"), [(19, True), (20, False), (30, False)])
def test_objects_that_are_half_hidden_are_neither(hidden: int, found: bool) -> None:
    targets = SMALL.build(np.array([[-hidden, 4, 40 - hidden, 40]]), np.array([0]))
    assert targets["mask"].sum() == found
    assert (targets["br_heat"] == 1).any() == found
    assert targets["br_valid"][0].all() == found


def test_boxes_beside_the_crop_leave_nothing() -> None:
    targets = SMALL.build(np.array([[-40, 4, 0, 40], [128, 0, 140, 9]]), np.array([0, 1]))
    assert not any(targets[name].any() for name in (*ATTENTION_NAMES, "mask", "tl_heat"))
    assert targets["tl_valid"].all()


def test_classes_stay_with_their_boxes() -> None:
    boxes = np.array([[-50, 0, -2, 9], [8, 8, 40, 40], [0, 0, 5, 5], [48, 8, 100, 60]])
    targets = SMALL.build(boxes, np.array([0, 1, 0, 0]))
    assert targets["tl_heat"][1, 2, 2] == targets["tl_heat"][0, 2, 12] == 1
    assert targets["mask"].sum() == 2
    assert targets["tl_valid"][0, 0, 0] == 0


@pytest.mark.parametrize(
    ("longer", "maps"),
    [(10, [2]), (32, [1, 2]), (33, [1]), (96, [0, 1]), (97, [0]), (128, [0])],
)
def test_attention_goes_by_the_longer_side(longer: float, maps: list[int]) -> None:
    targets = attention_targets(np.array([[0, 0, longer, 6.0]]), (16, 32))
    assert [i for i, name in enumerate(ATTENTION_NAMES) if targets[name].any()] == maps
    assert [targets[name].shape for name in ATTENTION_NAMES] == [(1, 4, 8), (1, 8, 16), (1, 16, 32)]


def test_attention_marks_the_middle() -> None:
    targets = attention_targets(np.array([[16, 8, 64, 24.0], [124, 60, 128, 64.0]]), (16, 32))
    assert np.argwhere(targets["att1"]).tolist() == [[0, 2, 5]]
    assert np.argwhere(targets["att2"]).tolist() == [[0, 15, 31]]


def test_a_class_that_is_unknown_is_refused() -> None:
    with pytest.raises(DatasetError, match="class id 2; expected 0 to 1"):
        SMALL.build(np.array([[0, 0, 40, 40.0]]), np.array([2]))
