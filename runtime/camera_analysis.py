"""What one camera's boxes go through after the network: filters, tracking and counting."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from runtime.detections import Detections
from runtime.frames import Frame
from runtime.line_counter import Direction, LineCounter, Sightings
from runtime.options_tracking import OutsideZones, TrackingOptions
from runtime.tracks import Crossing, Tracks
from runtime.zone_drawing import draw_zones
from runtime.zones import Line, Zone, anchor_points, points_inside

USUAL_RATE = 30.0  # pictures per second of a source that does not say
# Lines remember objects for so much longer than --track-keep: a slow camera's tracker may hold on
# to an object for longer than that.
REMEMBER_S = 60.0


class Tracker(Protocol):
    """Follows one camera's objects. Used from one thread."""

    def update(self, detections: Detections, time_s: float) -> np.ndarray:
        """Say which objects the boxes of the next picture belong to.

        Args:
            detections: Of the picture; boxes in the same pixels from picture to picture.
            time_s: When it was taken.

        Returns:
            int64 (N,), in the order of the detections: the object, from 1, or -1 for none yet. An
            id is never given to another object, also after a long pause.
        """
        ...


@dataclass(frozen=True)
class CameraRate:
    """How a camera's pictures follow each other.

    Attributes:
        is_live: Whether time is that of capture. In a file it is the number of the picture, however
            fast the file is read.
        per_second: Usual pictures per second.
    """

    is_live: bool = True
    per_second: float = USUAL_RATE

    def time_s(self, frame: Frame) -> float:
        """Return when a picture was taken, in seconds since some moment."""
        return frame.captured_ns * 1e-9 if self.is_live else frame.sequence / self.per_second


@dataclass(frozen=True)
class AnalysisSetting:
    """What one camera's boxes go through.

    Attributes:
        options: Of filters, tracking and counting.
        class_names: Names by class id.
        zones: Of this camera.
        lines: Of this camera.
        wanted_ids: int32 (M,), the classes to keep; None for all.
    """

    options: TrackingOptions
    class_names: Sequence[str]
    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    wanted_ids: np.ndarray | None = None


class CameraAnalysis:
    """Filters, follows and counts one camera's boxes, picture by picture, in one thread.

    Args:
        setting: What the camera's boxes go through.
        rate: Of its pictures.
        tracker: Follows its objects; None for no ids.

    Attributes:
        zones: Of this camera.
        lines: Of this camera.
    """

    def __init__(self, setting: AnalysisSetting, rate: CameraRate, tracker: Tracker | None) -> None:
        self.zones, self.lines = setting.zones, setting.lines
        self._setting = setting
        self._rate = rate
        self._tracker = tracker
        self._tracked_hw: tuple[int, int] | None = None
        forget_after_s = setting.options.track_keep + REMEMBER_S
        self._counters = [LineCounter(line, forget_after_s) for line in self.lines]
        self._counts: dict[str, dict[str, int]] = {line.name: _none() for line in self.lines}
        self._class_counts: dict[str, dict[str, dict[str, int]]] = {
            line.name: {} for line in self.lines
        }

    def draw_places(self, image: np.ndarray, tracks: Tracks | None) -> None:
        """Draw the camera's zones and lines, with what is counted at them, on a picture."""
        draw_zones(image, self.zones, self.lines, tracks)

    def __call__(
        self, detections: Detections, image_hw: tuple[int, int], frame: Frame
    ) -> tuple[Detections, Tracks | None]:
        """Take the next picture's boxes.

        Args:
            detections: What the network found.
            image_hw: Height and width of the picture.
            frame: The picture itself; only its number and time are looked at.

        Returns:
            The boxes that are left, in the same order, and what is said of them; None if neither
            tracking nor zones were asked for.
        """
        options = self._setting.options
        kept = detections
        if self._setting.wanted_ids is not None:
            kept = _take(kept, np.isin(kept.class_ids, self._setting.wanted_ids))
        points = anchor_points(kept.boxes_xyxy, image_hw, options.anchor)
        inside = points_inside(self.zones, points)
        if self.zones and options.outside_zones is OutsideZones.DROP:
            is_inside = np.asarray(inside.any(axis=0))
            kept, points, inside = _take(kept, is_inside), points[is_inside], inside[:, is_inside]
        if self._tracker is None and not self.zones:
            return kept, None
        time_s = self._rate.time_s(frame)
        ids = self._follow(kept, image_hw, time_s)
        sides = (kept.boxes_xyxy[:, 2:] - kept.boxes_xyxy[:, :2]).min(axis=1)
        crossings = self._crossings(Sightings(ids, points, sides, image_hw, time_s), kept)
        self._count(crossings)
        zone_counts = {
            zone.name: int(count)
            for zone, count in zip(self.zones, inside.sum(axis=1), strict=True)
        }
        return kept, Tracks(ids, crossings, self._counts, zone_counts, self._class_counts)

    def _follow(
        self, detections: Detections, image_hw: tuple[int, int], time_s: float
    ) -> np.ndarray:
        """Return the ids, with all boxes as on the first picture's size: sizes may change."""
        if self._tracker is None:
            return np.full(len(detections), -1, np.int64)
        self._tracked_hw = self._tracked_hw or image_hw
        if image_hw != self._tracked_hw:
            scale_yx = np.divide(self._tracked_hw, image_hw).astype(np.float32)
            boxes = detections.boxes_xyxy * np.tile(scale_yx[::-1], 2)
            detections = Detections(boxes, detections.scores, detections.class_ids)
        return self._tracker.update(detections, time_s)

    def _crossings(self, sightings: Sightings, detections: Detections) -> tuple[Crossing, ...]:
        return tuple(
            Crossing(
                counter.line.name,
                direction.value,
                int(sightings.ids[index]),
                int(detections.class_ids[index]),
            )
            for counter in self._counters
            for index, direction in counter.update(sightings)
        )

    def _count(self, crossings: Sequence[Crossing]) -> None:
        """Bring the lines' counts up to date; those handed out before stay as they are."""
        if not crossings:
            return
        self._counts = copy.deepcopy(self._counts)
        self._class_counts = copy.deepcopy(self._class_counts)
        for crossing in crossings:
            class_name = self._setting.class_names[crossing.class_id]
            by_class = self._class_counts[crossing.line].setdefault(class_name, _none())
            for counts in (self._counts[crossing.line], by_class):
                counts[crossing.direction] += 1


def _none() -> dict[str, int]:
    return {direction.value: 0 for direction in Direction}


def _take(detections: Detections, which: np.ndarray) -> Detections:
    """Return some of the detections; ``which`` is bool (N,)."""
    return Detections(
        detections.boxes_xyxy[which], detections.scores[which], detections.class_ids[which]
    )
