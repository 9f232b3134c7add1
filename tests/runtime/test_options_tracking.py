"""Tracking's options: all off unless asked for, and wrong ones refused by name."""

from __future__ import annotations

import argparse

import pytest

from runtime.options_tracking import OutsideZones, TrackClasses, TrackingOptions
from runtime.zones import BoxAnchor, Line, Zone
from tests.fakes.tracking import tracking_options


def test_everything_is_off_unless_asked_for() -> None:
    assert tracking_options() == TrackingOptions(
        only_class=[],
        track=False,
        track_keep=1.0,
        track_start_score=0.4,
        track_classes=TrackClasses.APART,
        zone=[],
        outside_zones=OutsideZones.KEEP,
        line=[],
        anchor=BoxAnchor.BOTTOM,
    )


def test_every_option_arrives() -> None:
    options = tracking_options(
        *("--only-class", "disc", "--only-class", "star", "--track", "--track-keep", "2.5"),
        *("--track-start-score", "0.6", "--track-classes", "together", "--anchor", "center"),
        *("--zone", "a=0,0 1,0 1,1", "--zone", "yard:b=0,0 1,0 1,1", "--outside-zones", "drop"),
        *("--line", "gate=0,0 1,1"),
    )
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert options == TrackingOptions(
        only_class=["disc", "star"],
        track=True,
        track_keep=2.5,
        track_start_score=0.6,
        track_classes=TrackClasses.TOGETHER,
        zone=[Zone("a", corners), Zone("b", corners, "yard")],
        outside_zones=OutsideZones.DROP,
        line=[Line("gate", ((0.0, 0.0), (1.0, 1.0)))],
        anchor=BoxAnchor.CENTER,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--track-classes", "both"), "got 'both'; expected apart or together"),
        (("--outside-zones", "count"), "got 'count'; expected keep or drop"),
        (("--anchor", "feet"), "got 'feet'; expected bottom or center or top"),
        (("--track-keep", "0"), "got '0'; expected a number from 0.1 to 3600"),
        (("--track-start-score", "1.1"), "got '1.1'; expected a number from 0 to 1"),
        (("--zone", "a=0,0 1,1"), "argument --zone: got 'a' with 2 points"),
        (("--line", "a=0,0"), "argument --line: got 'a' with 1 points"),
    ],
)
def test_a_wrong_value_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(argparse.ArgumentError) as error:
        tracking_options(*arguments)
    assert message in str(error.value)
