"""Which objects to show, whether to follow them, and where to count them."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Callable
from dataclasses import dataclass

from runtime.option_types import add_group, number_from
from runtime.option_values import one_of
from runtime.zone_text import line_from_text, zone_from_text
from runtime.zones import BoxAnchor, Line, Zone

# How long an object may be hidden. ByteTrack's paper keeps lost objects for 30 pictures at 30 per
# second.
KEEP_S = 1.0
# Corner detectors give sure boxes about 0.5 and more; with the default --score of 0.3 a band is
# left of boxes that continue an object and begin none.
START_SCORE = 0.4


class TrackClasses(enum.Enum):
    """Whether boxes of two classes may be the same object; values are what users type."""

    APART = "apart"  # an object keeps its class
    TOGETHER = "together"  # for a network that wavers, such as between car and truck


class OutsideZones(enum.Enum):
    """What becomes of boxes outside all zones of their camera; values are what users type."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True)
class TrackingOptions:
    """Filters, tracking and counting; all off unless asked for.

    Attributes:
        only_class: Names of the classes to keep; empty for all.
        track: Whether objects get an id that they keep from picture to picture.
        track_keep: How long an object that is not seen keeps its id, in seconds.
        track_start_score: Boxes below it continue an object but begin none.
        track_classes: Whether an object may change its class.
        zone: Parts of the picture to count objects in.
        outside_zones: What becomes of boxes outside all zones.
        line: Lines to count objects at; they need ids, and so turn tracking on.
        anchor: The point of a box that zones and lines look at.
    """

    only_class: list[str]
    track: bool
    track_keep: float
    track_start_score: float
    track_classes: TrackClasses
    zone: list[Zone]
    outside_zones: OutsideZones
    line: list[Line]
    anchor: BoxAnchor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "tracking").add_argument
    add(
        "--only-class",
        metavar="NAME",
        action="append",
        default=[],
        help="keep boxes of this class only; repeat for several",
    )
    add("--track", action="store_true", help="give objects ids that they keep")
    add(
        "--track-keep",
        metavar="S",
        type=number_from(0.1, 3600),
        default=KEEP_S,
        help=f"an object hidden for up to S seconds keeps its id; default {KEEP_S:g}",
    )
    add(
        "--track-start-score",
        metavar="X",
        type=number_from(0.0, 1.0),
        default=START_SCORE,
        help=f"boxes below it continue an object but begin none; default {START_SCORE:g}",
    )
    add(
        "--track-classes",
        metavar="HOW",
        type=one_of(TrackClasses),
        default=TrackClasses.APART,
        help="apart (default): an object keeps its class; together: it may change it",
    )
    _add_places(add)


def _add_places(add: Callable[..., argparse.Action]) -> None:
    add(
        "--zone",
        metavar="[CAMERA:]NAME=POINTS",
        action="append",
        type=zone_from_text,
        default=[],
        help="count the objects in a part of the picture: door=0.1,0.5 0.4,0.5 0.4,0.9, fractions "
        "of its width and height, or pixels with its size at the end: ...@1280x720; repeatable",
    )
    add(
        "--outside-zones",
        metavar="HOW",
        type=one_of(OutsideZones),
        default=OutsideZones.KEEP,
        help="boxes outside all zones of their camera: keep (default) or drop",
    )
    add(
        "--line",
        metavar="[CAMERA:]NAME=POINTS",
        action="append",
        type=line_from_text,
        default=[],
        help="count the objects that cross a line, such as gate=0.5,0.1 0.5,0.9: going from the "
        "first point to the second, in is to the right; repeatable; turns --track on",
    )
    add(
        "--anchor",
        metavar="WHERE",
        type=one_of(BoxAnchor),
        default=BoxAnchor.BOTTOM,
        help="point of a box that zones and lines look at: bottom (default), center or top",
    )
