"""Zones and lines are read from one option each, and what is wrong is said in one line."""

from __future__ import annotations

import argparse

import pytest

from runtime.zone_text import line_from_text, zone_from_text
from runtime.zones import Line, Zone

DOOR = ((0.1, 0.5), (0.4, 0.5), (0.4, 0.9))


def test_a_zone_has_a_name_and_corners() -> None:
    assert zone_from_text("door=0.1,0.5 0.4,0.5 0.4,0.9") == Zone("door", DOOR)


def test_a_line_has_a_name_and_two_ends() -> None:
    assert line_from_text("gate=0.5,0 0.5,1") == Line("gate", ((0.5, 0.0), (0.5, 1.0)))


@pytest.mark.parametrize(
    ("text", "camera"),
    [
        ("yard:door=0.1,0.5 0.4,0.5 0.4,0.9", "yard"),
        ("csi://0:door=0.1,0.5 0.4,0.5 0.4,0.9", "csi://0"),
        ("rtsp://host/live?x=1:door=0.1,0.5 0.4,0.5 0.4,0.9", "rtsp://host/live?x=1"),
        (":door=0.1,0.5 0.4,0.5 0.4,0.9", None),
    ],
)
def test_a_zone_may_be_for_one_camera(text: str, camera: str | None) -> None:
    assert zone_from_text(text) == Zone("door", DOOR, camera)


def test_pixels_need_the_size_of_the_picture_and_become_fractions() -> None:
    assert zone_from_text("door=64,240 256,240 256,432@640x480") == Zone("door", DOOR)


def test_corners_may_lie_on_the_border() -> None:
    assert zone_from_text("all=0,0 640,0 640,480 0,480@640x480").points_xy[2] == (1.0, 1.0)


def test_a_bow_tie_is_a_zone() -> None:
    assert len(zone_from_text("tie=0,0 1,1 1,0 0,1").points_xy) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1,0.5 0.4,0.5 0.4,0.9", "got no name; expected [CAMERA:]NAME="),
        ("=0.1,0.5 0.4,0.5 0.4,0.9", "got no name"),
        ("yard:=0.1,0.5 0.4,0.5 0.4,0.9", "got no name"),
        ("door=", "'door' with 0 points; expected three or more"),
        ("door=0.1,0.5 0.4,0.5", "'door' with 2 points; expected three or more"),
        ("door=0.1,0.5 0.4,0.5 0.4", "'0.4' in 'door'; expected x,y, two numbers"),
        ("door=0.1,0.5 0.4,0.5 a,b", "'a,b' in 'door'; expected x,y"),
        ("door=0.1,0.5 0.4,0.5 0.4,0.9,1", "'0.4,0.9,1' in 'door'; expected x,y"),
        ("door=64,240 256,240 256,432", "'64,240' in 'door'; expected fractions"),
        ("door=0.1,0.5 0.4,0.5 0.4,-0.1", "'0.4,-0.1' in 'door'; expected fractions"),
        ("door=0.1,0.5 0.4,0.5 nan,0.1", "'nan,0.1' in 'door'; expected fractions"),
        ("door=64,240 256,240 256,481@640x480", "'256,481' in 'door'; expected fractions"),
        ("door=64,240 256,240 256,432@640", "got '640'; expected WIDTHxHEIGHT"),
        ("door=0.1,0.1 0.5,0.5 0.9,0.9", "'door' with points on one line; expected the corners"),
    ],
)
def test_a_wrong_zone_is_refused(text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        zone_from_text(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gate", "got no name; expected [CAMERA:]NAME=x,y x,y, such as gate="),
        ("gate=0.1,0.5", "'gate' with 1 points; expected two"),
        ("gate=0.1,0.5 0.2,0.5 0.3,0.5", "'gate' with 3 points; expected two"),
        ("gate=0.1,0.5 0.1,0.5", "'gate' with the same point twice"),
    ],
)
def test_a_wrong_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        line_from_text(text)
    assert message in str(error.value)


@pytest.mark.parametrize("points", ["", "0.1", "5,5 6,6 7,7", "0,0 1,1"])
@pytest.mark.parametrize("equals", ["", "="])
def test_no_message_shows_a_cameras_password(points: str, equals: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        zone_from_text(f"rtsp://user:secret@host/a:door{equals}{points}")
    assert "secret" not in str(error.value)
