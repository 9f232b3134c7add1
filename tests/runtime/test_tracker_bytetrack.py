"""Objects keep their ids: when they cross, are hidden, or pictures are lost."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from detectors.shapes_clip import ClipSpec, clip_frames
from runtime.detections import Detections
from tests.fakes.tracking import boxes_at, tracking_options

pytest.importorskip("trackers", reason="needs the extra [track]")
pytest.importorskip("supervision", reason="needs the extra [track]")

from trackers.eval import compute_clear_metrics, compute_identity_metrics

from runtime.tracker_bytetrack import ByteTracker

RATE = 30.0


def new_tracker(*arguments: str) -> ByteTracker:
    return ByteTracker(tracking_options(*arguments), RATE)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """The library warns on stderr of what it cannot use: nobody could do anything about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_an_object_has_an_id_from_its_second_picture_on() -> None:
    tracker = new_tracker()
    ids = [tracker.update(boxes_at([(100 + n, 50)]), n / RATE) for n in range(5)]
    assert [found.tolist() for found in ids] == [[-1], [1], [1], [1], [1]]
    assert ids[0].dtype == np.int64


def test_ids_are_in_the_order_of_the_boxes_whatever_that_is() -> None:
    tracker = new_tracker()
    places = np.array([(50.0, 50.0), (150.0, 50.0), (250.0, 50.0), (350.0, 50.0)])
    scores = np.array([0.9, 0.35, 0.5, 0.8], np.float32)  # the second is unsure: matched later
    expected = None
    for n in range(12):
        order = np.random.default_rng(n).permutation(4)
        found = boxes_at(list(map(tuple, places[order])))
        sure = np.where(n < 3, 0.9, scores[order]).astype(np.float32)
        ids = tracker.update(Detections(found.boxes_xyxy, sure, found.class_ids), n / RATE)
        assert len(ids) == 4
        if n == 2:
            expected = ids[np.argsort(order)].tolist()
        if n >= 2:
            assert ids[np.argsort(order)].tolist() == expected
    assert sorted(expected or []) == [1, 2, 3, 4]


def test_crossing_objects_keep_their_ids() -> None:
    tracker = new_tracker("--track-classes", "together")
    seen = []
    for n in range(60):
        ids = tracker.update(boxes_at([(50 + 5 * n, 100), (350 - 5 * n, 112)]), n / RATE)
        seen.append(ids.tolist())
    assert seen[5] == seen[-1]
    assert all(ids == seen[5] for ids in seen[5:])


@pytest.mark.parametrize(("hidden", "keeps"), [(1, True), (10, True), (25, True), (45, False)])
def test_an_object_hidden_for_less_than_a_second_keeps_its_id(hidden: int, keeps: bool) -> None:
    tracker = new_tracker()
    for n in range(10):
        tracker.update(boxes_at([(50 + 4 * n, 100)]), n / RATE)
    for n in range(10, 10 + hidden):
        assert len(tracker.update(Detections.empty(), n / RATE)) == 0
    for n in range(10 + hidden, 13 + hidden):
        ids = tracker.update(boxes_at([(50 + 4 * n, 100)]), n / RATE)
    assert ids.tolist() == ([1] if keeps else [2])


@pytest.mark.parametrize("keep_s", [0.5, 3.0])
@pytest.mark.parametrize("rate", [5.0, 30.0, 120.0])
def test_how_long_an_object_is_kept_is_a_matter_of_seconds_not_of_pictures(
    keep_s: float, rate: float
) -> None:
    for pause_s, expected in ((0.8 * keep_s, 1), (1.3 * keep_s + 1 / rate, 2)):
        tracker = new_tracker("--track-keep", str(keep_s))
        time_s = 0.0
        for _ in range(10):
            time_s += 1 / rate
            tracker.update(boxes_at([(50, 100)]), time_s)
        time_s += pause_s
        for _ in range(3):
            ids = tracker.update(boxes_at([(50, 100)]), time_s)
            time_s += 1 / rate
        assert ids.tolist() == [expected]


def test_an_object_is_kept_from_picture_to_picture_also_by_a_slow_camera() -> None:
    tracker = new_tracker("--track-keep", "1")
    for n in range(10):
        assert tracker.update(boxes_at([(50, 100)]), 4.0 * n).tolist() == ([1] if n else [-1])
    assert tracker.update(boxes_at([(50, 100)]), 4.0 * 13).tolist() == [-1]


def test_dropped_pictures_and_a_changing_rate_do_no_harm() -> None:
    """One second in four runs at 5 pictures a second, with a third of the rest lost."""
    tracker = new_tracker()
    rng = np.random.default_rng(0)
    seen: set[tuple[int, ...]] = set()
    for n in range(240):
        is_slow = (n // 30) % 4 == 3
        if n > 5 and (n % 6 if is_slow else rng.uniform() < 0.33):
            continue
        time_s = n / RATE + rng.uniform(0, 0.01)
        places = [(100 + 80 * time_s, 100), (900 - 80 * time_s, 300)]
        ids = tracker.update(boxes_at(places), time_s)
        if n > 5:
            seen.add(tuple(ids.tolist()))
    assert seen == {(1, 2)}


def test_after_a_long_pause_everything_is_new_and_no_id_is_used_again() -> None:
    tracker = new_tracker()
    for n in range(5):
        tracker.update(boxes_at([(50, 50), (200, 50)]), n / RATE)
    a_week_s = 7 * 24 * 3600.0
    for n in range(5):
        ids = tracker.update(boxes_at([(50, 50), (200, 50)]), a_week_s + n / RATE)
    assert ids.tolist() == [3, 4]


def test_two_pictures_at_one_time_or_out_of_order_are_taken_as_they_come() -> None:
    tracker = new_tracker()
    for time_s in (5.0, 5.0, 5.033, 5.01, 5.033, 5.066):
        ids = tracker.update(boxes_at([(50, 50)]), time_s)
    assert ids.tolist() == [1]


def test_unsure_boxes_continue_an_object_but_begin_none() -> None:
    tracker = new_tracker("--track-start-score", "0.5")
    for n in range(4):
        unsure = tracker.update(boxes_at([(50, 50)], score=0.45), n / RATE)
    assert unsure.tolist() == [-1]
    for n in range(4, 8):
        tracker.update(boxes_at([(50, 50)], score=0.5), n / RATE)
    assert tracker.update(boxes_at([(50, 50)], score=0.1), 8 / RATE).tolist() == [1]


@pytest.mark.parametrize(("classes", "expected"), [("apart", 2), ("together", 1)])
def test_an_object_that_changes_its_class_is_another_unless_asked(
    classes: str, expected: int
) -> None:
    tracker = new_tracker("--track-classes", classes)
    for n in range(12):
        found = boxes_at([(50 + n, 50)], class_ids=[0 if n < 6 else 7])
        ids = tracker.update(found, n / RATE)
    assert ids.tolist() == [expected]


def test_the_last_of_80_classes_is_followed_as_well_as_the_first() -> None:
    for class_id in (0, 79):
        tracker = new_tracker()
        for n in range(20):
            found = boxes_at([(50 + 7.3 * n, 50)], size=20, class_ids=[class_id])
            ids = tracker.update(found, n / RATE)
        assert ids.tolist() == [1]


def test_nothing_to_follow_gives_no_ids() -> None:
    tracker = new_tracker()
    for n in range(3):
        ids = tracker.update(Detections.empty(), n / RATE)
        assert ids.shape == (0,)
        assert ids.dtype == np.int64


def test_a_hundred_objects_are_followed_at_once() -> None:
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) * 100.0
    tracker = new_tracker()
    for n in range(10):
        places = grid + rng.normal(0, 2, grid.shape)
        ids = tracker.update(boxes_at(list(map(tuple, places))), n / RATE)
    assert sorted(ids.tolist()) == list(range(1, 101))


def test_the_same_boxes_give_the_same_ids() -> None:
    runs = [[ids.tolist() for _, ids in followed(degraded=True)] for _ in range(2)]
    assert runs[0] == runs[1]


def test_ids_are_never_below_minus_one_nor_zero_nor_twice_on_a_picture() -> None:
    for _, ids in followed(degraded=True):
        objects = ids[ids != -1]
        assert (objects >= 1).all()
        assert len(np.unique(objects)) == len(objects)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degraded", "most_switches", "least_idf1"), [(False, 0.003, 0.93), (True, 0.01, 0.92)]
)
def test_moving_shapes_keep_their_ids(
    degraded: bool, most_switches: float, least_idf1: float
) -> None:
    """Measured against a clip's truth; bounds leave room for other versions of the library."""
    pairs = list(followed(degraded))
    truths, ids = [truth for truth, _ in pairs], [found[found > 0] for _, found in pairs]
    same_box = [np.eye(len(truth))[:, found > 0] for truth, found in pairs]
    switches: dict[str, Any] = compute_clear_metrics(truths, ids, same_box)
    identity: dict[str, Any] = compute_identity_metrics(truths, ids, same_box)
    boxes = sum(len(truth) for truth in truths)
    assert boxes > 300
    assert switches["IDSW"] <= most_switches * boxes
    assert identity["IDF1"] >= least_idf1


def followed(degraded: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each picture the true objects of its boxes and the ids they were given.

    Args:
        degraded: Ten pictures a second instead of thirty, edges that tremble by 3 per cent, and
            one box in ten missing.
    """
    rng = np.random.default_rng(2)
    tracker = new_tracker()
    for number, (truth_ids, found) in enumerate(true_objects()):
        if degraded and number % 3:
            continue
        keep = rng.uniform(size=len(found)) > (0.1 if degraded else 0.0)
        sides = (found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]).mean(axis=1, keepdims=True)
        moved = found.boxes_xyxy + degraded * rng.normal(0, 0.03, (len(found), 4)) * sides
        seen = Detections(moved[keep].astype(np.float32), found.scores[keep], found.class_ids[keep])
        yield truth_ids[keep], tracker.update(seen, number / RATE)


def true_objects() -> Iterator[tuple[np.ndarray, Detections]]:
    """Yield each picture's true objects, linked at the full rate, where they hardly move."""
    previous = Detections.empty()
    previous_ids = np.zeros(0, np.int64)
    count = 0
    for _, truth in clip_frames(ClipSpec(seconds=10.0, image_hw=(240, 320))):
        ids = np.zeros(len(truth.boxes_xyxy), np.int64)
        for index, box in enumerate(truth.boxes_xyxy):
            overlaps = iou(box, previous.boxes_xyxy)
            overlaps[previous.class_ids != truth.class_ids[index]] = 0
            best = int(overlaps.argmax()) if len(overlaps) else -1
            if best >= 0 and overlaps[best] > 0.5 and previous_ids[best] not in ids:
                ids[index] = previous_ids[best]
            else:
                count += 1
                ids[index] = count
        scores = np.full(len(ids), 0.9, np.float32)
        previous = Detections(truth.boxes_xyxy, scores, truth.class_ids)
        previous_ids = ids
        yield ids, previous


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the overlap of one box with each of (N, 4), as the share of their union."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return common / np.maximum(areas - common, 1e-9)
