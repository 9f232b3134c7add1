"""Results go to supervision's tools and come back unchanged."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.frames import Frame, FrameResult
from runtime.tracks import Tracks
from tests.fakes.tracking import block_module, boxes_at

sv = pytest.importorskip("supervision", reason="needs the extra [track]")

from runtime.supervision_adapter import (  # noqa: E402
    detections_from_supervision,
    supervision_from_result,
)

NAMES = ("disc", "traffic light")


def result_of(detections: Detections, tracks: Tracks | None = None) -> FrameResult:
    frame = Frame(np.zeros((120, 160, 3), np.uint8), "test", 0, 0)
    return FrameResult("camera", frame, detections, NAMES, {}, (120, 160), tracks)


def test_every_field_has_supervisions_type() -> None:
    found = boxes_at([(30, 40), (100, 60)], class_ids=[1, 0])
    given = supervision_from_result(result_of(found, Tracks(np.array([7, -1], np.int64))))
    np.testing.assert_array_equal(given.xyxy, found.boxes_xyxy)
    np.testing.assert_array_equal(given.confidence, found.scores)
    assert given.class_id.tolist() == [1, 0]
    assert given.tracker_id.tolist() == [7, -1]
    assert given.data["class_name"].tolist() == ["traffic light", "disc"]
    assert given.xyxy.dtype == given.confidence.dtype == np.float32
    assert given.class_id.dtype == given.tracker_id.dtype == np.int64
    assert given.data["class_name"].dtype.kind == "U"


def test_without_tracking_there_are_no_ids() -> None:
    assert supervision_from_result(result_of(boxes_at([(30, 40)]))).tracker_id is None


@pytest.mark.parametrize("tracks", [None, Tracks(np.zeros(0, np.int64))])
def test_nothing_found_is_empty_and_can_be_merged(tracks: Tracks | None) -> None:
    given = supervision_from_result(result_of(Detections.empty(), tracks))
    assert given.is_empty()
    assert given.xyxy.shape == (0, 4)
    assert given.data["class_name"].shape == (0,)
    assert given.data["class_name"].dtype.kind == "U"
    some = supervision_from_result(result_of(boxes_at([(30, 40)])))
    assert len(sv.Detections.merge([given, some])) == 1


def test_what_supervision_does_to_its_boxes_does_not_change_ours() -> None:
    found, tracks = boxes_at([(30, 40)]), Tracks(np.array([1], np.int64))
    given = supervision_from_result(result_of(found, tracks))
    given.xyxy += 5
    given.confidence[:] = 0
    given.tracker_id[:] = 9
    assert found.boxes_xyxy.tolist() == [[10, 20, 50, 60]]
    assert found.scores[0] == np.float32(0.9)
    assert tracks.ids.tolist() == [1]


def test_supervisions_annotators_and_zones_take_it() -> None:
    result = result_of(boxes_at([(30, 40), (100, 60)]), Tracks(np.array([3, 4], np.int64)))
    given = supervision_from_result(result)
    image = result.frame.image.copy()
    for annotator in (sv.BoxAnnotator(), sv.LabelAnnotator(), sv.TraceAnnotator()):
        image = annotator.annotate(image, given)
    assert image.any()
    assert not result.frame.image.any()
    zone = sv.PolygonZone(np.array([[0, 0], [80, 0], [80, 119], [0, 119]]))
    assert zone.trigger(given).tolist() == [True, False]
    line = sv.LineZone(sv.Point(0, 10), sv.Point(159, 10))
    assert not np.any(line.trigger(given))


def test_the_way_back_gives_the_same_boxes() -> None:
    found = boxes_at([(30, 40), (100, 60)], class_ids=[1, 0])
    back = detections_from_supervision(supervision_from_result(result_of(found)))
    np.testing.assert_array_equal(back.boxes_xyxy, found.boxes_xyxy)
    np.testing.assert_array_equal(back.scores, found.scores)
    np.testing.assert_array_equal(back.class_ids, found.class_ids)


def test_the_way_back_fills_in_what_others_leave_out() -> None:
    back = detections_from_supervision(sv.Detections(xyxy=np.array([[1, 2, 3, 4]])))
    assert back.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    assert back.scores.tolist() == [1.0]
    assert back.class_ids.tolist() == [0]
    assert len(detections_from_supervision(sv.Detections.empty())) == 0


def test_a_missing_library_is_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block_module(monkeypatch, "supervision")
    monkeypatch.delitem(sys.modules, "runtime.supervision_adapter")
    with pytest.raises(UsageError, match=r"found no module supervision; .*'.\[track\]'"):
        import runtime.supervision_adapter  # noqa: F401
