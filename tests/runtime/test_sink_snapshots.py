"""Pictures of events."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from runtime import disk_budget, notices
from runtime.camera_files import read_image
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import OutputError, UsageError
from runtime.sink_snapshots import (
    TRACKS_REMEMBERED,
    SnapshotEvent,
    SnapshotPicture,
    SnapshotSettings,
    SnapshotSink,
    check_classes,
)
from runtime.tracks import Crossing, Tracks
from tests.builders import picture
from tests.fakes.disks import make_read_only, small_disk
from tests.results import found, result


@pytest.fixture(autouse=True)
def forget_notices() -> None:
    notices.notice_once.cache_clear()


def settings(folder: Path, **changes: Any) -> SnapshotSettings:
    budget = BudgetOptions(10**6, WhenFull.DROP_OLDEST, reserve_bytes=0)
    first = SnapshotSettings(
        folder, SnapshotEvent.DETECTION, (), 0.0, 0.0, SnapshotPicture.ANNOTATED, budget
    )
    return replace(first, **changes)


def taken(folder: Path) -> list[int]:
    return sorted(json.loads(path.read_text())["frame"] for path in folder.glob("*.json"))


def test_a_snapshot_is_a_picture_and_its_record(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path / "new"))
    sink.publish(result(7, camera="front gate", detections=found((1, 0.9), (0, 0.5))))
    record_path, picture_path = sorted(tmp_path.joinpath("new").iterdir(), key=lambda p: p.suffix)
    if record_path.suffix == ".jpg":
        record_path, picture_path = picture_path, record_path
    assert picture_path.name.endswith("Z-front-gate-00000007-circle.jpg")
    assert record_path == picture_path.with_suffix(".json")
    record = json.loads(record_path.read_text())
    assert (record["camera"], record["frame"], record["event"]) == ("front gate", 7, "detection")
    assert record["event_classes"] == ["circle", "square"]
    assert record["picture"] == picture_path.name
    assert len(record["detections"]) == 2
    assert read_image(picture_path).shape == (48, 64, 3)


@pytest.mark.parametrize("kind", list(SnapshotPicture))
def test_the_picture_has_boxes_or_not(tmp_path: Path, kind: SnapshotPicture) -> None:
    image = picture(96, 128)
    shown = result(0, image, detections=found((0, 0.9)))
    SnapshotSink(settings(tmp_path, picture=kind)).publish(shown)
    (path,) = tmp_path.glob("*.jpg")
    expected = image if kind is SnapshotPicture.PLAIN else shown.annotated
    assert np.abs(read_image(path).astype(int) - expected).mean() < 3
    assert np.abs(image.astype(int) - shown.annotated).mean() > 3


def test_without_a_box_there_is_none(tmp_path: Path) -> None:
    SnapshotSink(settings(tmp_path)).publish(result())
    assert list(tmp_path.iterdir()) == []


def test_classes_and_scores_choose(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path, classes=("circle",), score=0.6))
    for sequence, box in enumerate([(0, 0.9), (1, 0.59), (1, 0.7)]):
        sink.publish(result(sequence, detections=found(box)))
    assert taken(tmp_path) == [2]


def test_a_cool_down_is_each_cameras_and_classes_own(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path, cooldown_s=10.0))
    events = [(0.0, "a", 0), (1.0, "a", 1), (2.0, "b", 0), (9.9, "a", 0), (10.0, "a", 0)]
    for sequence, (seconds, camera, class_id) in enumerate(events):
        boxes = found((class_id, 0.9))
        sink.publish(result(sequence, seconds=seconds, camera=camera, detections=boxes))
    assert taken(tmp_path) == [0, 1, 2, 4]


def test_a_new_object_is_taken_once(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path, event=SnapshotEvent.TRACK))
    for sequence, ids in enumerate([(-1,), (5,), (5,), (5, 3), (3, 5)]):
        boxes = found(*((0, 0.9) for _ in ids))
        sink.publish(result(sequence, detections=boxes, tracks=Tracks(np.int64(ids))))
    sink.publish(
        result(9, camera="other", detections=found((0, 0.9)), tracks=Tracks(np.int64([5])))
    )
    assert taken(tmp_path) == [1, 3, 9]


def test_objects_are_forgotten_after_very_many(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path, event=SnapshotEvent.TRACK))
    for number in range(1, TRACKS_REMEMBERED + 11):
        sink._is_new("gate", number)
    assert len(sink._tracks["gate"]) == TRACKS_REMEMBERED


def test_crossings_are_taken(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path, event=SnapshotEvent.CROSSING, classes=("circle",)))
    crossings = [(), (Crossing("gate", "in", 4, 0),), (Crossing("gate", "out", 5, 1),)]
    for sequence, crossed in enumerate(crossings):
        tracks = Tracks(np.int64([5]), crossed)
        sink.publish(result(sequence, detections=found((1, 0.9)), tracks=tracks))
    sink.publish(result(3, detections=found((1, 0.9))))  # without tracking
    assert taken(tmp_path) == [2]


def test_the_oldest_go_when_the_budget_is_used_up(tmp_path: Path) -> None:
    budget = BudgetOptions(10_000, WhenFull.DROP_OLDEST, reserve_bytes=0)
    sink = SnapshotSink(settings(tmp_path, budget=budget))
    for sequence in range(40):
        sink.publish(result(sequence, detections=found((0, 0.9))))
    kept = taken(tmp_path)
    assert kept == list(range(kept[0], 40)) and 1 < len(kept) < 40
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000


def test_a_disk_that_others_fill_costs_pictures_not_the_stream(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter((30 * 10**6, 20 * 10**6, 10 * 10**6))  # less from picture to picture
    monkeypatch.setattr(disk_budget.shutil, "disk_usage", lambda _: Mock(free=next(free)))
    budget = BudgetOptions(10**6, WhenFull.DROP_OLDEST, reserve_bytes=10**18)
    sink = SnapshotSink(settings(tmp_path, budget=budget))
    for sequence in range(3):
        sink.publish(result(sequence, detections=found((0, 0.9))))
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr().err
    assert told.startswith(
        f"notice: --snapshots leaves pictures out of {tmp_path}: the disk has 30"
    )
    assert told.count("\n") == 1


def test_what_was_written_stays(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path))
    sink.publish(result(0, detections=found((0, 0.9))))
    sink.close()
    sink.discard()
    assert taken(tmp_path) == [0]


def test_a_folder_that_goes_is_one_error(tmp_path: Path) -> None:
    sink = SnapshotSink(settings(tmp_path / "new"))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match=r"--snapshots cannot write .* was it deleted"):
        sink.publish(result(0, detections=found((0, 0.9))))


def test_a_read_only_disk_is_one_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        sink = SnapshotSink(settings(disk))
        make_read_only(disk)
        with pytest.raises(OutputError, match=r"\(Read-only file system\)"):
            sink.publish(result(0, detections=found((0, 0.9))))


def test_a_class_that_the_network_does_not_know_is_one_error() -> None:
    check_classes(("circle",), ("square", "circle"))
    with pytest.raises(UsageError, match=r"got 'car'; expected one of square, circle$"):
        check_classes(("circle", "car"), ("square", "circle"))
    with pytest.raises(UsageError, match=r"expected one of 0, 1, .*, 9, \.\.\.$"):
        check_classes(("car",), tuple(map(str, range(80))))
