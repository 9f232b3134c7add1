"""From raw outputs to detections."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.contract import CenterDecodeParams, DecodeParams
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw, soft_nms
from runtime.suppression import NmsMethod

SAME_SIZE = Letterbox.fit((256, 256), (256, 256))
WIDE = Letterbox.fit((480, 640), (256, 256))  # scale 0.4, 32 rows above


def raw(rows: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    """Make outputs of rows x1 y1 x2 y2 score class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return {
        "boxes": table[None, :, :4],
        "scores": table[None, :, 4],
        "class_ids": table[None, :, 5].astype(np.int32),
    }


def test_soft_nms_is_found_here() -> None:
    assert soft_nms.__module__ == "runtime.suppression"


def test_boxes_come_back_in_image_pixels_best_first() -> None:
    outputs = raw([(4, 40, 44, 120, 0.5, 1), (100, 100, 140, 140, 0.9, 0), (0, 0, 1, 1, -1, 0)])
    found = detections_from_raw(outputs, WIDE, PostprocessOptions())
    np.testing.assert_allclose(found.boxes_xyxy, [[250, 170, 350, 270], [10, 20, 110, 220]])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    assert found.class_ids.tolist() == [0, 1]


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 3), (0.5, 2), (0.51, 1), (1.0, 0)])
def test_the_threshold_itself_is_kept_and_empty_slots_never(threshold: float, count: int) -> None:
    outputs = raw(
        [
            (0, 0, 10, 10, 0.9, 0),
            (50, 50, 60, 60, 0.5, 0),
            (90, 90, 99, 99, 0.0, 0),
            (0, 0, 50, 50, -1, 0),
        ]
    )
    assert len(detections_from_raw(outputs, SAME_SIZE, PostprocessOptions(threshold))) == count


def test_only_boxes_of_the_same_class_suppress_each_other() -> None:
    outputs = raw([(0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.8, 0), (0, 0, 50, 50, 0.8, 1)])
    found = detections_from_raw(outputs, SAME_SIZE, PostprocessOptions(0.3))
    assert found.class_ids.tolist() == [0, 1]  # the second of class 0 fell to 0.8 * exp(-2)


def test_a_suppressed_box_keeps_its_lower_score() -> None:
    outputs = raw([(0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.8, 0)])
    found = detections_from_raw(outputs, SAME_SIZE, PostprocessOptions(0.05))
    np.testing.assert_allclose(found.scores, [0.9, 0.8 * np.exp(-2)], rtol=1e-6)


def test_hard_suppression_can_be_chosen() -> None:
    outputs = raw([(0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.8, 0), (0, 0, 50, 10, 0.7, 0)])
    options = PostprocessOptions(0.0, NmsMethod.HARD, iou_threshold=0.5)
    found = detections_from_raw(outputs, SAME_SIZE, options)
    np.testing.assert_allclose(sorted(found.scores), [0.0, 0.7, 0.9])


def test_boxes_of_centres_are_left_alone_unless_somebody_chose_otherwise() -> None:
    centres, corners = CenterDecodeParams(100, 3), DecodeParams(100, 3, 0.5, 100)
    usual, chosen = PostprocessOptions(0.2), PostprocessOptions(method=NmsMethod.HARD)
    assert usual.suppression is NmsMethod.GAUSSIAN
    assert usual.suited_to(corners) is usual
    assert usual.suited_to(centres) == PostprocessOptions(0.2, NmsMethod.NONE)
    assert chosen.suited_to(centres) is chosen
    assert chosen.suppression is NmsMethod.HARD  # the number 0


def test_without_suppression_every_score_stays() -> None:
    outputs = raw([(0, 0, 50, 50, 0.8, 0), (0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.5, 1)])
    options = PostprocessOptions(0.3).suited_to(CenterDecodeParams(100, 3))
    found = detections_from_raw(outputs, SAME_SIZE, options)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.5])
    assert found.class_ids.tolist() == [0, 0, 1]


def test_filtering_first_changes_no_survivor() -> None:
    generator = np.random.default_rng(3)
    corners = generator.random((60, 2)) * 200
    rows = np.column_stack(
        [
            corners,
            corners + 5 + generator.random((60, 2)) * 50,
            generator.random(60),
            generator.integers(0, 3, 60),
        ]
    )
    low = detections_from_raw(raw(rows.tolist()), SAME_SIZE, PostprocessOptions(0.001))
    high = detections_from_raw(raw(rows.tolist()), SAME_SIZE, PostprocessOptions(0.4))
    assert 0 < len(high) < len(low)
    np.testing.assert_array_equal(high.scores, low.above(0.4).scores)
    np.testing.assert_array_equal(high.boxes_xyxy, low.above(0.4).boxes_xyxy)


def test_at_most_so_many_are_kept() -> None:
    outputs = raw([(10 * i, 0, 10 * i + 5, 5, 0.3 + 0.01 * i, i % 2) for i in range(20)])
    found = detections_from_raw(outputs, SAME_SIZE, PostprocessOptions(max_detections=7))
    np.testing.assert_allclose(found.scores, 0.3 + 0.01 * np.arange(19, 12, -1), rtol=1e-6)


def test_boxes_in_the_border_alone_and_without_extent_are_gone() -> None:
    outputs = raw([(0, 0, 100, 30, 0.9, 0), (50, 50, 50, 90, 0.9, 0), (60, 90, 50, 50, 0.9, 0)])
    assert len(detections_from_raw(outputs, WIDE, PostprocessOptions())) == 0


def test_numbers_that_are_none_are_gone() -> None:
    nan = float("nan")
    outputs = raw([(0, 0, 50, 50, nan, 0), (nan, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.9, 0)])
    found = detections_from_raw(outputs, SAME_SIZE, PostprocessOptions())
    np.testing.assert_array_equal(found.boxes_xyxy, [[0, 0, 50, 50]])


def test_outputs_are_not_modified() -> None:
    outputs = raw([(0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.8, 0)])
    before = {name: array.copy() for name, array in outputs.items()}
    detections_from_raw(outputs, SAME_SIZE, PostprocessOptions())
    for name, array in outputs.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "wrong",
    [
        {"score_threshold": -0.1},
        {"score_threshold": 1.1},
        {"score_threshold": float("nan")},
        {"iou_threshold": 2.0},
        {"sigma": 0.0},
        {"max_detections": 0},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        PostprocessOptions(**wrong)  # type: ignore[arg-type]
