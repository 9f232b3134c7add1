"""What one camera's boxes go through, with a tracker whose ids are known."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.camera_analysis import AnalysisSetting, CameraAnalysis, CameraRate
from runtime.detections import Detections
from runtime.frames import NO_PICTURE, Frame
from runtime.tracks import Crossing
from runtime.zone_drawing import draw_zones
from tests.fakes.tracking import ScriptedTracker, boxes_at, frame_at, tracking_options

HW = (200, 400)
NAMES = ("disc", "star", "ring")
LEFT, RIGHT = "left=0,0 0.5,0 0.5,1 0,1", "right=0.5,0 1,0 1,1 0.5,1"
ACROSS = "across=0,0.5 1,0.5"


def new_analysis(
    *arguments: str,
    tracker: ScriptedTracker | None = None,
    wanted: list[int] | None = None,
    rate: CameraRate | None = None,
) -> CameraAnalysis:
    options = tracking_options(*arguments)
    setting = AnalysisSetting(
        options,
        NAMES,
        tuple(options.zone),
        tuple(options.line),
        None if wanted is None else np.array(wanted, np.int32),
    )
    return CameraAnalysis(setting, rate or CameraRate(), tracker)


def test_only_wanted_classes_are_left_in_their_order() -> None:
    analysis = new_analysis(wanted=[2, 0])
    found = boxes_at([(10, 20), (30, 40), (50, 60), (70, 80)], class_ids=[0, 1, 2, 0])
    kept, tracks = analysis(found, HW, frame_at(0))
    assert kept.class_ids.tolist() == [0, 2, 0]
    np.testing.assert_array_equal(kept.boxes_xyxy, found.boxes_xyxy[[0, 2, 3]])
    assert tracks is None


def test_unwanted_classes_do_not_reach_the_tracker() -> None:
    tracker = ScriptedTracker()
    kept, tracks = new_analysis("--track", tracker=tracker, wanted=[1])(
        boxes_at([(10, 20), (30, 40)], class_ids=[0, 1]), HW, frame_at(0)
    )
    assert tracks is not None
    assert tracks.ids.tolist() == [2]
    assert tracker.seen[0][0].class_ids.tolist() == kept.class_ids.tolist() == [1]


def test_ids_are_those_of_the_tracker_in_the_order_of_the_boxes() -> None:
    _, tracks = new_analysis("--track", tracker=ScriptedTracker())(
        boxes_at([(10, 20), (30, 40), (50, 60)], class_ids=[2, 0, 1]), HW, frame_at(0)
    )
    assert tracks is not None
    assert tracks.ids.tolist() == [3, 1, 2]
    assert tracks.ids.dtype == np.int64
    assert tracks.crossings == ()


def test_zones_count_what_is_in_them_and_need_no_tracker() -> None:
    analysis = new_analysis("--zone", LEFT, "--zone", RIGHT)
    found = boxes_at([(50, 50), (120, 50), (300, 50)])
    kept, tracks = analysis(found, HW, frame_at(0))
    assert tracks is not None
    assert kept is found
    assert tracks.zone_counts == {"left": 2, "right": 1}
    assert tracks.ids.tolist() == [-1, -1, -1]
    _, tracks = analysis(Detections.empty(), HW, frame_at(1))
    assert tracks is not None
    assert tracks.zone_counts == {"left": 0, "right": 0}


def test_the_anchor_decides_which_zone() -> None:
    top, bottom = "top=0,0 1,0 1,0.5 0,0.5", "bottom=0,0.51 1,0.51 1,1 0,1"
    counts = []
    for anchor in ("bottom", "center"):
        analysis = new_analysis("--zone", top, "--zone", bottom, "--anchor", anchor)
        _, tracks = analysis(boxes_at([(100, 90)]), HW, frame_at(0))
        assert tracks is not None
        counts.append(tracks.zone_counts)
    assert counts == [{"top": 0, "bottom": 1}, {"top": 1, "bottom": 0}]


def test_boxes_outside_all_zones_are_dropped_before_tracking_if_asked() -> None:
    tracker = ScriptedTracker()
    middle = "middle=0.4,0 0.6,0 0.6,1 0.4,1"
    analysis = new_analysis(
        *("--track", "--zone", "left=0,0 0.2,0 0.2,1 0,1", "--zone", middle),
        *("--outside-zones", "drop"),
        tracker=tracker,
    )
    found = boxes_at([(300, 50), (200, 50), (40, 50)], class_ids=[0, 1, 2])
    kept, tracks = analysis(found, HW, frame_at(0))
    assert tracks is not None
    assert kept.class_ids.tolist() == [1, 2]
    assert tracks.ids.tolist() == [2, 3]
    assert tracks.zone_counts == {"left": 1, "middle": 1}
    assert len(tracker.seen[0][0]) == 2


def test_lines_count_what_is_left_where_it_is() -> None:
    """The box dropped first stands still above the line; the one that is left crosses."""
    analysis = new_analysis(
        *("--zone", LEFT, "--outside-zones", "drop", "--line", ACROSS), tracker=ScriptedTracker()
    )
    crossings: list[Crossing] = []
    for number, y in enumerate([40, 60, 140, 160]):
        found = boxes_at([(300, 40), (100, y)], class_ids=[0, 1])
        _, tracks = analysis(found, HW, frame_at(number))
        assert tracks is not None
        crossings += tracks.crossings
    assert crossings == [Crossing("across", "in", 2, 1)]


def test_without_zones_nothing_is_outside() -> None:
    analysis = new_analysis("--track", "--outside-zones", "drop", tracker=ScriptedTracker())
    kept, _ = analysis(boxes_at([(300, 50)]), HW, frame_at(0))
    assert len(kept) == 1


def test_crossings_are_told_once_and_counted_from_then_on() -> None:
    analysis = new_analysis("--line", ACROSS, tracker=ScriptedTracker())
    seen = []
    for number, y in enumerate([40, 60, 140, 160]):
        boxes = boxes_at([(100, y), (300, 200 - y)], class_ids=[1, 2])
        _, tracks = analysis(boxes, HW, frame_at(number))
        assert tracks is not None
        seen.append(tracks)
    assert [len(tracks.crossings) for tracks in seen] == [0, 0, 2, 0]
    assert set(seen[2].crossings) == {
        Crossing("across", "in", 2, 1),
        Crossing("across", "out", 3, 2),
    }
    assert [tracks.line_counts for tracks in seen] == [
        *[{"across": {"in": 0, "out": 0}}] * 2,
        *[{"across": {"in": 1, "out": 1}}] * 2,
    ]
    assert seen[1].class_counts == {"across": {}}
    assert seen[3].class_counts == {
        "across": {"star": {"in": 1, "out": 0}, "ring": {"in": 0, "out": 1}}
    }


def test_counts_handed_out_before_stay_as_they_were() -> None:
    analysis = new_analysis("--line", ACROSS, tracker=ScriptedTracker())
    handed_out = []
    for number in range(6):
        _, tracks = analysis(boxes_at([(100, 40 if number % 2 else 160)]), HW, frame_at(number))
        assert tracks is not None
        assert tracks.line_counts is not None
        handed_out.append(sum(tracks.line_counts["across"].values()))
    assert handed_out == [0, 1, 2, 3, 4, 5]


def test_a_live_cameras_time_is_that_of_capture_and_a_files_is_the_pictures_number() -> None:
    late = Frame(NO_PICTURE, "test", sequence=50, captured_ns=7_000_000_000)
    for rate, expected in ((CameraRate(True, 25.0), 7.0), (CameraRate(False, 25.0), 2.0)):
        tracker = ScriptedTracker()
        new_analysis("--track", tracker=tracker, rate=rate)(boxes_at([(10, 20)]), HW, late)
        assert tracker.seen[0][1] == pytest.approx(expected)


def test_the_tracker_sees_boxes_in_the_first_pictures_size() -> None:
    tracker = ScriptedTracker()
    analysis = new_analysis("--track", tracker=tracker)
    small = boxes_at([(100, 50)], size=20)
    analysis(small, (200, 400), frame_at(0))
    large = Detections(
        small.boxes_xyxy * np.array([3, 2, 3, 2], np.float32), small.scores, small.class_ids
    )
    kept, _ = analysis(large, (400, 1200), frame_at(1))
    np.testing.assert_allclose(tracker.seen[1][0].boxes_xyxy, small.boxes_xyxy)
    np.testing.assert_array_equal(kept.boxes_xyxy, large.boxes_xyxy)


def test_its_own_zones_and_lines_are_drawn() -> None:
    analysis = new_analysis("--zone", LEFT, "--line", ACROSS, tracker=ScriptedTracker())
    image = np.zeros((240, 320, 3), np.uint8)
    analysis.draw_places(image, None)
    expected = draw_zones(np.zeros_like(image), analysis.zones, analysis.lines)
    np.testing.assert_array_equal(image, expected)
    assert image.any()


def test_nothing_found_is_no_special_case() -> None:
    analysis = new_analysis(
        *("--line", ACROSS, "--zone", LEFT, "--outside-zones", "drop"),
        tracker=ScriptedTracker(),
        wanted=[0],
    )
    kept, tracks = analysis(Detections.empty(), HW, frame_at(0))
    assert tracks is not None
    assert len(kept) == len(tracks.ids) == 0
    assert tracks.zone_counts == {"left": 0}
