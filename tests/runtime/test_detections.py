"""What a set of boxes must look like."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.detections import Detections


def three() -> Detections:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Detections(boxes, np.float32([0.9, 0.5, 0.1]), np.int32([2, 0, 1]))


def test_above_keeps_rows_together_and_the_threshold_itself() -> None:
    kept = three().above(0.5)
    assert len(kept) == 2
    np.testing.assert_array_equal(kept.boxes_xyxy, three().boxes_xyxy[:2])
    assert kept.class_ids.tolist() == [2, 0]


def test_empty_has_the_right_types() -> None:
    empty = Detections.empty()
    assert len(empty) == 0
    assert len(empty.above(0.0)) == 0


@pytest.mark.parametrize(
    ("boxes", "scores", "ids", "message"),
    [
        (np.zeros((3, 4)), np.zeros(3, "f4"), np.zeros(3, "i4"), "boxes_xyxy is float64"),
        (
            np.zeros((2, 4), "f4"),
            np.zeros(3, "f4"),
            np.zeros(3, "i4"),
            r"expected float32 \(3, 4\)",
        ),
        (np.zeros((3, 5), "f4"), np.zeros(3, "f4"), np.zeros(3, "i4"), "boxes_xyxy"),
        (np.zeros((3, 4), "f4"), np.zeros((3, 1), "f4"), np.zeros(3, "i4"), "scores is"),
        (np.zeros((3, 4), "f4"), np.zeros(3, "f4"), np.zeros(3, "i8"), "class_ids is int64"),
        (np.zeros((3, 4), "f4"), np.zeros(3, "f4"), np.zeros(2, "i4"), "class_ids"),
    ],
)
def test_other_shapes_and_types_are_refused(
    boxes: np.ndarray, scores: np.ndarray, ids: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(boxes, scores, ids)
