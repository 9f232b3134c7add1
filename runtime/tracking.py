"""Filters, tracking and counting for all cameras of a stream, from the options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from runtime.camera_analysis import AnalysisSetting, CameraAnalysis, CameraRate, Tracker
from runtime.errors import UsageError
from runtime.options_tracking import TrackingOptions
from runtime.zones import Line, Zone

# `trackers` asks for opencv-python, which would take the place of the OpenCV that is installed:
# hence apart, and without what it asks for, which the extra holds.
INSTALL = "pip install -e '.[track]' && pip install --no-deps 'trackers>=2.6,<3'"

MakeTracker = Callable[[TrackingOptions, float], Tracker]


class Tracking:
    """Makes what each camera's boxes go through.

    Args:
        options: Of filters, tracking and counting.
        class_names: Names by class id.
        make_tracker: Returns a camera's tracker, from the options and the camera's usual pictures
            per second; None for no ids.

    Raises:
        UsageError: If a class is unknown.
    """

    def __init__(
        self,
        options: TrackingOptions,
        class_names: Sequence[str],
        make_tracker: MakeTracker | None,
    ) -> None:
        self._options = options
        self._class_names = class_names
        self._wanted_ids = _class_ids(options.only_class, class_names)
        self._make_tracker = make_tracker

    def for_camera(self, name: str, rate: CameraRate) -> CameraAnalysis:
        """Return what a camera's boxes go through; it stays the same when the camera comes back."""
        setting = AnalysisSetting(
            options=self._options,
            class_names=self._class_names,
            zones=tuple(zone for zone in self._options.zone if zone.camera in (None, name)),
            lines=tuple(line for line in self._options.line if line.camera in (None, name)),
            wanted_ids=self._wanted_ids,
        )
        make = self._make_tracker
        return CameraAnalysis(setting, rate, make and make(self._options, rate.per_second))


def open_tracking(
    options: TrackingOptions, class_names: Sequence[str], cameras: Sequence[str]
) -> Tracking | None:
    """Return what the cameras' boxes go through; None if nothing was asked for.

    Args:
        options: Of filters, tracking and counting.
        class_names: Names by class id.
        cameras: Names of the stream's cameras.

    Raises:
        UsageError: If a class or camera is unknown, a name is given twice, or tracking is asked
            for and its library is not installed.
    """
    is_tracking = options.track or bool(options.line)
    if not (is_tracking or options.zone or options.only_class):
        return None
    for option, places in (("--zone", options.zone), ("--line", options.line)):
        _check_places(option, places, cameras)
    return Tracking(options, class_names, _tracker_maker() if is_tracking else None)


def _tracker_maker() -> MakeTracker:
    try:
        from runtime.tracker_bytetrack import ByteTracker
    except ModuleNotFoundError as error:
        raise UsageError(
            f"found no module {error.name}; expected it for --track and --line; install it: "
            f"{INSTALL}"
        ) from None
    return ByteTracker


def _class_ids(names: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"--only-class got {unknown[0]!r}; expected one of this model's classes: "
            + ", ".join(known)
        )
    return np.array([known.index(name) for name in names], np.int32) if names else None


def _check_places(option: str, places: Sequence[Zone | Line], cameras: Sequence[str]) -> None:
    """Refuse names that are not clear. Messages quote no unknown camera: it may be an address."""
    for place in places:
        if place.camera is not None and place.camera not in cameras:
            raise UsageError(
                f"{option} {place.name!r} is for a camera that is not there; expected one of: "
                + ", ".join(cameras)
            )
    for camera in cameras:
        names = Counter(place.name for place in places if place.camera in (None, camera))
        twice = [name for name, times in names.items() if times > 1]
        if twice:
            raise UsageError(
                f"{option} got {twice[0]!r} twice for one camera; expected names that differ"
            )
