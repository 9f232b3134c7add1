"""A picture and its record whenever something of interest happens."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.disk_budget import BudgetOptions, DiskBudget
from runtime.errors import UsageError
from runtime.frames import FrameResult
from runtime.notices import notice_once
from runtime.output_faults import explained
from runtime.per_camera import file_label
from runtime.picture_files import encode_picture, write_complete
from runtime.records import captured_at, record_from

TRACKS_REMEMBERED = 10_000  # per camera; objects seen so long ago do not come back


class SnapshotEvent(enum.Enum):
    """What is worth a snapshot; values are the command line's."""

    DETECTION = "detection"  # a box
    TRACK = "track"  # an object that was not there before
    CROSSING = "crossing"  # an object that crosses a line


class SnapshotPicture(enum.Enum):
    """Which picture is kept; values are the command line's."""

    ANNOTATED = "annotated"
    PLAIN = "plain"


@dataclass(frozen=True)
class SnapshotSettings:
    """When to take snapshots, and what becomes of them.

    Attributes:
        folder: Where they go; created.
        event: What causes one.
        classes: Names of the classes that count; empty for all.
        score: Boxes below it do not count; crossings have none.
        cooldown_s: After one, the same class at the same camera causes none for so long.
        picture: Which picture is kept.
        budget: What the folder may hold.
    """

    folder: Path
    event: SnapshotEvent
    classes: tuple[str, ...]
    score: float
    cooldown_s: float
    picture: SnapshotPicture
    budget: BudgetOptions


class SnapshotSink:
    """Writes a JPEG, and beside it a JSON file with the picture's record.

    Names begin with the time of capture, UTC, so that they sort by time: then camera, number and
    class. The JSON file, which comes last, has the keys of ``record_from`` and ``event``,
    ``event_classes`` and ``picture``, the name of the JPEG. What was written stays, whatever
    becomes of the stream. Where the disk is full, snapshots are left out with one notice.

    Args:
        settings: When and where.

    Raises:
        OutputError: If the folder cannot be used.
    """

    name = "snapshots"
    needs_picture = True
    in_main_thread = False

    def __init__(self, settings: SnapshotSettings) -> None:
        self._settings = settings
        self._latest_ns: dict[tuple[str, int], int] = {}
        self._tracks: dict[str, OrderedDict[int, None]] = {}
        self._has_told_full = False
        with explained(self.name, settings.folder):
            settings.folder.mkdir(parents=True, exist_ok=True)
            self._budget = DiskBudget(settings.folder, settings.budget)

    def publish(self, result: FrameResult) -> None:
        """Take a snapshot, or not."""
        classes = [
            class_id
            for class_id in dict.fromkeys(self._events(result))
            if self._is_wanted(result, class_id)
        ]
        if not classes:
            return
        for class_id in classes:
            self._latest_ns[result.camera, class_id] = result.frame.captured_ns
        names = [result.class_names[class_id] for class_id in classes]
        moment = captured_at(result.frame.captured_ns).strftime("%Y%m%dT%H%M%S.%fZ")
        label = f"{file_label(result.camera)}-{result.frame.sequence:08d}-{file_label(names[0])}"
        self._write(result, names, self._settings.folder / f"{moment}-{label}.jpg")

    def close(self) -> None:
        """Nothing waits to be written."""

    def discard(self) -> None:
        """What was written stays."""

    def _events(self, result: FrameResult) -> Iterator[int]:
        """Yield the class of every event on a picture, the surest box's first."""
        event, tracks = self._settings.event, result.tracks
        if event is SnapshotEvent.CROSSING:
            yield from (crossing.class_id for crossing in (tracks.crossings if tracks else ()))
            return
        found = result.detections
        ids = [0] * len(found) if tracks is None else tracks.ids.tolist()
        for class_id, score, track_id in zip(
            found.class_ids.tolist(), found.scores.tolist(), ids, strict=True
        ):
            if score >= self._settings.score and (
                event is SnapshotEvent.DETECTION or self._is_new(result.camera, track_id)
            ):
                yield class_id

    def _is_new(self, camera: str, track_id: int) -> bool:
        """Say whether an object is seen for the first time, and remember it."""
        if track_id < 1:
            return False
        known = self._tracks.setdefault(camera, OrderedDict())
        is_new = track_id not in known
        known[track_id] = None
        known.move_to_end(track_id)
        if len(known) > TRACKS_REMEMBERED:
            known.popitem(last=False)
        return is_new

    def _is_wanted(self, result: FrameResult, class_id: int) -> bool:
        classes = self._settings.classes
        if classes and result.class_names[class_id] not in classes:
            return False
        latest_ns = self._latest_ns.get((result.camera, class_id))
        pause_ns = self._settings.cooldown_s * 1e9
        return latest_ns is None or result.frame.captured_ns - latest_ns >= pause_ns

    def _write(self, result: FrameResult, names: list[str], path: Path) -> None:
        is_plain = self._settings.picture is SnapshotPicture.PLAIN
        picture = encode_picture(self.name, result.frame.image if is_plain else result.annotated)
        record = {
            **record_from(result),
            "event": self._settings.event.value,
            "event_classes": names,
            "picture": path.name,
        }
        text = json.dumps(record, indent=1).encode() + b"\n"
        with explained(self.name, path):
            problem = self._budget.make_room(len(picture) + len(text))
            if problem:
                self._tell_full(problem)
                return
            for target, data in ((path, picture), (path.with_suffix(".json"), text)):
                write_complete(target, data)
                self._budget.add(target, len(data))

    def _tell_full(self, problem: str) -> None:
        """Say once that pictures are left out: the room that is left changes all the time."""
        if not self._has_told_full:
            notice_once(f"--snapshots leaves pictures out of {self._settings.folder}: {problem}")
        self._has_told_full = True


def check_classes(wanted: tuple[str, ...], class_names: tuple[str, ...]) -> None:
    """Refuse names that the network does not know.

    Raises:
        UsageError: If there is one.
    """
    for name in wanted:
        if name not in class_names:
            known = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
            raise UsageError(f"--snapshot-class got {name!r}; expected one of {known}")
