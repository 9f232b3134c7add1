"""Follows objects with ByteTrack, as the ``trackers`` library has it."""

from __future__ import annotations

import math
import statistics
from collections import deque

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from runtime.detections import Detections
from runtime.options_tracking import TrackClasses, TrackingOptions

# An object has an id from its second picture in a row on, so that a single wrong box gets none.
PICTURES_UNTIL_ID = 2
# The library counts the time that a lost object is kept in pictures at this rate, whatever the
# camera's; given capture times, it turns them back into seconds.
BUFFER_RATE = 30.0
# Boxes of different classes are moved so far apart that they never overlap.
CLASS_SPACING_PX = 1e6
# An object that is kept must outlast the time between two pictures, however slow the camera is.
# The usual time is the median over so many pictures, which one long pause does not change.
PICTURES_FOR_USUAL_STEP = 5
STEPS_KEPT = 2.0
# The library warns of two pictures at one time, and wants no time to go backwards.
SHORTEST_STEP_S = 1e-6


class ByteTracker:
    """One camera's tracker; see ``runtime.camera_analysis.Tracker``.

    Sure boxes are matched first to where a Kalman filter expects the objects, unsure ones to what
    is left: an object that is half hidden goes on. Expectations reckon with the time that really
    passed, so dropped pictures and a changing rate do no harm. After a pause longer than
    ``track_keep``, or two pictures where that is longer, all objects are new.

    Args:
        options: Of tracking.
        frame_rate: Pictures per second that are usual for this camera.

    Source: Zhang et al., "ByteTrack", arXiv:2110.06864.
    """

    def __init__(self, options: TrackingOptions, frame_rate: float) -> None:
        self._are_classes_apart = options.track_classes is TrackClasses.APART
        self._tracker = ByteTrackTracker(
            lost_track_buffer=math.ceil(options.track_keep * BUFFER_RATE),
            frame_rate=frame_rate,
            track_activation_threshold=options.track_start_score,
            high_conf_det_threshold=options.track_start_score,
            minimum_consecutive_frames=PICTURES_UNTIL_ID,
        )
        self._keep_s = options.track_keep
        self._newest_s = -math.inf
        self._steps_s: deque[float] = deque(maxlen=PICTURES_FOR_USUAL_STEP)

    def update(self, detections: Detections, time_s: float) -> np.ndarray:
        """Return int64 (N,), each detection's object from 1, or -1; see ``Tracker``."""
        self._advance(time_s)
        boxes = detections.boxes_xyxy.astype(np.float64)
        if self._are_classes_apart:
            boxes += CLASS_SPACING_PX * detections.class_ids[:, None]
        followed = self._tracker.update(
            sv.Detections(
                xyxy=boxes,
                confidence=detections.scores,
                data={"index": np.arange(len(detections))},
            ),
            timestamp=self._newest_s,
        )
        ids = np.full(len(detections), -1, np.int64)
        if len(followed):  # in an order of its own, counting from 0
            found = np.asarray(followed.tracker_id)
            ids[followed.data["index"]] = np.where(found >= 0, found + 1, -1)
        return ids

    def _advance(self, time_s: float) -> None:
        """Move on to the time of the next picture, and see how long objects are kept."""
        before_s = self._newest_s
        self._newest_s = max(time_s, before_s + SHORTEST_STEP_S)
        if math.isfinite(before_s):
            self._steps_s.append(self._newest_s - before_s)
            usual_s = statistics.median(self._steps_s)
            keep_s = max(self._keep_s, STEPS_KEPT * usual_s)
            self._tracker.maximum_time_without_update = keep_s
