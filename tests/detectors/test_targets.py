"""Training targets against the golden data, and what happens at the limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.targets import TargetSpec, build_targets
from runtime.errors import DatasetError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPEC = TargetSpec(num_classes=2, input_hw=(32, 64), output_hw=(8, 16), max_objects=3)


def network_boxes(boxes: np.ndarray, image_hw: tuple[int, int], variant: str) -> np.ndarray:
    """Bring original boxes (n, 5) to the 511x511 input as the published training code does."""
    height, width = image_hw
    boxes = boxes.astype(np.float64 if variant == "cornernet" else np.float32)
    if variant == "cornernet":  # the image is centred on a square first
        side = max(height, width)
        boxes[:, 0:4:2] += side // 2 - width // 2
        boxes[:, 1:4:2] += side // 2 - height // 2
        height = width = side
    boxes[:, 0:4:2] *= 511 / width
    boxes[:, 1:4:2] *= 511 / height
    boxes[:, :4] = np.clip(boxes[:, :4], 0, 510)
    return boxes[(boxes[:, 2:4] > boxes[:, :2]).all(axis=1)]


@pytest.mark.parametrize("image", range(4))
@pytest.mark.parametrize("variant", ["cornernet_128", "lite_128", "lite_64"])
def test_equals_the_golden_data(variant: str, image: int) -> None:
    name, size = variant.split("_")
    with np.load(GOLDEN / "targets_inputs.npz") as inputs:
        image_hw = inputs[f"image{image}"].shape[:2]
        boxes = network_boxes(inputs[f"boxes{image}"], image_hw, name)
    spec = TargetSpec(80, (511, 511), (int(size), int(size)))
    targets = build_targets(boxes[:, :4], boxes[:, 4].astype(int) - 1, spec)
    with np.load(GOLDEN / f"targets_{variant}.npz") as expected:
        assert set(targets) == set(expected.files) - {"images_u8", "gaussian_iou"}
        for key, got in targets.items():
            np.testing.assert_array_equal(got, expected[key][image], err_msg=key, strict=True)


def test_one_box_by_hand() -> None:
    targets = build_targets(np.array([[9.0, 6.0, 50.0, 30.0]]), np.array([1]), SPEC)
    assert targets["mask"].tolist() == [1, 0, 0]
    assert targets["tl_inds"][0] == 1 * 16 + 2
    assert targets["br_inds"][0] == 7 * 16 + 12
    assert targets["tl_off"][0].tolist() == [0.25, 0.5]
    assert targets["br_off"][0].tolist() == [0.5, 0.5]
    assert targets["tl_heat"][1, 1, 2] == targets["br_heat"][1, 7, 12] == 1
    assert (targets["tl_heat"] == 1).sum() == 1
    assert not targets["tl_heat"][0].any()


def test_no_boxes_give_empty_targets() -> None:
    targets = build_targets(np.zeros((0, 4)), np.zeros(0, int), SPEC)
    assert not any(array.any() for array in targets.values())


def test_boxes_are_clipped_and_the_right_border_is_in_the_last_cell() -> None:
    targets = build_targets(np.array([[-5.0, -5.0, 64.0, 99.0]]), np.array([0]), SPEC)
    assert targets["tl_inds"][0] == 0
    assert targets["tl_off"][0].tolist() == [0, 0]
    assert targets["br_inds"][0] == 7 * 16 + 15
    assert targets["br_off"][0].tolist() == [1, 1]


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 5, 5, 9], [70, 5, 90, 9], [-9, 5, 0, 9]])
def test_empty_boxes_are_left_out_and_others_move_up(box: list[float]) -> None:
    boxes = np.array([box, [8, 8, 24, 24]], np.float64)
    targets = build_targets(boxes, np.array([0, 0]), SPEC)
    assert targets["mask"].tolist() == [1, 0, 0]
    assert targets["tl_inds"][0] == 2 * 16 + 2
    assert (targets["tl_heat"] == 1).sum() == 1


def test_too_many_boxes_keep_the_largest_in_order_and_all_peaks() -> None:
    boxes = np.array([[0, 0, 8, 8], [4, 0, 6, 2], [12, 0, 32, 30], [16, 4, 26, 14]], np.float64)
    targets = build_targets(boxes, np.zeros(4, int), SPEC)
    assert targets["mask"].tolist() == [1, 1, 1]
    assert targets["tl_inds"].tolist() == [0, 3, 16 + 4]
    assert (targets["tl_heat"] == 1).sum() == 4


def test_does_not_modify_its_input() -> None:
    boxes = np.array([[-5.0, 0.0, 70.0, 20.0]], np.float32)
    before = boxes.copy()
    build_targets(boxes, np.array([0]), SPEC)
    np.testing.assert_array_equal(boxes, before)


@pytest.mark.parametrize(
    ("boxes", "class_ids", "message"),
    [
        (np.zeros((2, 4)), [0], r"boxes of shape \(2, 4\) with 1 class ids; expected \(1, 4\)"),
        (np.zeros((1, 5)), [0], r"expected \(1, 4\)"),
        (np.array([[0, 0, np.nan, 4]]), [0], "not finite"),
        (np.array([[0, 0, np.inf, 4]]), [0], "not finite"),
        (np.array([[0, 0, 4, 4]]), [2], "class id 2; expected 0 to 1"),
        (np.array([[0, 0, 4, 4]]), [-1], "class id -1; expected 0 to 1"),
    ],
)
def test_refuses_wrong_annotations(boxes: np.ndarray, class_ids: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        build_targets(boxes, np.array(class_ids), SPEC)
