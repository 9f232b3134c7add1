"""Filters, tracking and counting for a stream: what is asked for is checked before it starts."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.camera_analysis import CameraRate
from runtime.errors import UsageError
from runtime.tracking import Tracking, open_tracking
from tests.fakes.tracking import block_module, boxes_at, frame_at, tracking_options

NAMES = ("disc", "star", "traffic light")
CAMERAS = ("gate", "yard")
HW = (200, 400)
ZONE, LINE = "left=0,0 0.5,0 0.5,1 0,1", "across=0,0.5 1,0.5"


def opened(*arguments: str) -> Tracking:
    tracking = open_tracking(tracking_options(*arguments), NAMES, CAMERAS)
    assert tracking is not None
    return tracking


def test_nothing_asked_for_is_nothing_at_all() -> None:
    assert open_tracking(tracking_options(), NAMES, CAMERAS) is None


def test_classes_are_chosen_by_name_without_any_library() -> None:
    analysis = opened("--only-class", "traffic light").for_camera("gate", CameraRate())
    kept, tracks = analysis(boxes_at([(1, 2), (3, 4)], class_ids=[0, 2]), HW, frame_at(0))
    assert kept.class_ids.tolist() == [2]
    assert tracks is None


@pytest.mark.parametrize("known", [NAMES, ("person",)])
def test_an_unknown_class_is_refused_and_the_known_are_listed(known: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as error:
        open_tracking(tracking_options("--only-class", "Star"), known, CAMERAS)
    assert "--only-class got 'Star'; expected one of" in str(error.value)
    assert str(error.value).endswith(", ".join(known))


def test_zones_are_for_one_camera_or_for_all() -> None:
    tracking = opened("--zone", ZONE, "--zone", "yard:right=0.5,0 1,0 1,1 0.5,1")
    names = {
        camera: [zone.name for zone in tracking.for_camera(camera, CameraRate()).zones]
        for camera in CAMERAS
    }
    assert names == {"gate": ["left"], "yard": ["left", "right"]}


@pytest.mark.parametrize(("option", "place"), [("--zone", ZONE), ("--line", LINE)])
def test_an_unknown_camera_is_refused_without_showing_its_address(option: str, place: str) -> None:
    with pytest.raises(UsageError, match="is for a camera that is not there") as error:
        opened(option, f"rtsp://user:secret@host:{place}")
    assert str(error.value).endswith("expected one of: gate, yard")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(("option", "place"), [("--zone", ZONE), ("--line", LINE)])
@pytest.mark.parametrize("first", ["", "yard:"])
def test_a_name_twice_for_one_camera_is_refused(option: str, place: str, first: str) -> None:
    with pytest.raises(UsageError, match="twice for one camera"):
        opened(option, first + place, option, "yard:" + place)


def test_the_same_name_on_two_cameras_is_fine() -> None:
    opened("--zone", "gate:" + ZONE, "--zone", "yard:" + ZONE)


@pytest.mark.parametrize("arguments", [("--track",), ("--line", LINE)])
@pytest.mark.parametrize("module", ["trackers", "supervision"])
def test_a_missing_library_is_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], module: str
) -> None:
    block_module(monkeypatch, module)
    with pytest.raises(UsageError) as error:
        opened(*arguments)
    message = str(error.value)
    assert f"found no module {module}; expected it for --track and --line" in message
    assert "pip install -e '.[track]'" in message
    assert "\n" not in message


def test_zones_and_classes_need_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    block_module(monkeypatch, "trackers")
    block_module(monkeypatch, "supervision")
    opened("--zone", ZONE, "--only-class", "disc")


def test_lines_turn_tracking_on() -> None:
    pytest.importorskip("trackers", reason="needs the extra [track]")
    analysis = opened("--line", LINE).for_camera("gate", CameraRate())
    counts = []
    for number, y in enumerate(range(40, 161, 8)):
        _, tracks = analysis(boxes_at([(100, y)]), HW, frame_at(number))
        assert tracks is not None
        counts.append(tracks.line_counts)
    assert counts[0] == {"across": {"in": 0, "out": 0}}
    assert counts[-1] == {"across": {"in": 1, "out": 0}}


def test_cameras_are_independent() -> None:
    pytest.importorskip("trackers", reason="needs the extra [track]")
    tracking = opened("--track")
    gate, yard = (tracking.for_camera(camera, CameraRate()) for camera in CAMERAS)
    for number in range(3):
        for analysis, center in ((gate, (100, 50)), (yard, (300, 150))):
            _, tracks = analysis(boxes_at([center]), HW, frame_at(number))
    assert tracks is not None
    assert tracks.ids.tolist() == [1]
    _, tracks = gate(boxes_at([(300, 150)]), HW, frame_at(3))  # new here, though not in the yard
    assert tracks is not None
    assert tracks.ids.tolist() == [-1]


def test_ids_survive_a_change_of_resolution() -> None:
    pytest.importorskip("trackers", reason="needs the extra [track]")
    analysis = opened("--track").for_camera("gate", CameraRate())
    ids = []
    for number in range(10):
        scale = 1 if number < 5 else 3
        center = ((100 + 4 * number) * scale, 100 * scale)
        _, tracks = analysis(
            boxes_at([center], size=40 * scale), (HW[0] * scale, HW[1] * scale), frame_at(number)
        )
        assert tracks is not None
        ids.extend(tracks.ids.tolist())
    np.testing.assert_array_equal(ids, [-1] + [1] * 9)
