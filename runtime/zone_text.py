"""Zones and lines as users write them: ``gate:door=0.1,0.5 0.4,0.5 0.4,0.9``."""

from __future__ import annotations

import argparse

from runtime.option_types import size_hw
from runtime.zones import Line, Point, Zone

ZONE_FORM = "[CAMERA:]NAME=x,y x,y x,y ..., such as door=0.1,0.5 0.4,0.5 0.4,0.9"
LINE_FORM = "[CAMERA:]NAME=x,y x,y, such as gate=0.5,0.1 0.5,0.9"
SMALLEST_AREA = 1e-6  # of the picture: about one pixel of a megapixel


def zone_from_text(text: str) -> Zone:
    """Return a zone; a ``type`` for the parser.

    Args:
        text: Name and corners, in fractions of the picture, or in pixels of a picture whose size
            is added: ``door=64,240 256,240 256,432@640x480``.

    Raises:
        argparse.ArgumentTypeError: If it is not of this form, or has no area.
    """
    camera, name, points = _parse(text, ZONE_FORM)
    if len(points) < 3:
        raise _error(f"{name!r} with {len(points)} points", f"three or more: {ZONE_FORM}")
    if _area(points) < SMALLEST_AREA:
        raise _error(f"{name!r} with points on one line", "the corners of a polygon with an area")
    return Zone(name, points, camera)


def line_from_text(text: str) -> Line:
    """Return a line; a ``type`` for the parser. Its form is that of a zone, with two points.

    Raises:
        argparse.ArgumentTypeError: If it is not of this form, or has no length.
    """
    camera, name, points = _parse(text, LINE_FORM)
    if len(points) != 2:
        raise _error(f"{name!r} with {len(points)} points", f"two: {LINE_FORM}")
    if points[0] == points[1]:
        raise _error(f"{name!r} with the same point twice", "two ends that differ")
    return Line(name, (points[0], points[1]), camera)


def _parse(text: str, form: str) -> tuple[str | None, str, tuple[Point, ...]]:
    """Return camera, name and points. Messages leave the camera out: it may hold a password."""
    label, equals, numbers = text.rpartition("=")
    camera, _, name = label.rpartition(":")
    name = name.strip()
    if not (equals and name):
        raise _error("no name", form)
    numbers, at, size = numbers.partition("@")
    width_height = (1.0, 1.0)
    if at:
        height, width = size_hw(size.strip())
        width_height = (float(width), float(height))
    points = tuple(_point(part, name, width_height) for part in numbers.split())
    return camera.strip() or None, name, points


def _point(text: str, name: str, width_height: tuple[float, float]) -> Point:
    x_text, _, y_text = text.partition(",")
    try:
        x, y = float(x_text) / width_height[0], float(y_text) / width_height[1]
    except ValueError:
        raise _error(f"{text!r} in {name!r}", "x,y, two numbers without a space") from None
    if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):  # false for nan, too
        raise _error(
            f"{text!r} in {name!r}",
            "fractions of the picture from 0 to 1; write pixels with the size of the picture at "
            "the end: 64,48 ...@640x480",
        )
    return x, y


def _area(points: tuple[Point, ...]) -> float:
    """Return the area of the rectangle or sliver that holds all points along the first edge.

    The area of the polygon itself would be 0 for a bow tie, which is a useful zone.
    """
    first_x, first_y = points[0]
    offsets = [(x - first_x, y - first_y) for x, y in points[1:]]
    return max(
        abs(a_x * b_y - a_y * b_x) / 2
        for number, (a_x, a_y) in enumerate(offsets)
        for b_x, b_y in offsets[number:]
    )


def _error(got: str, expected: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"got {got}; expected {expected}")
