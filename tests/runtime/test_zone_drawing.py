"""Zones and lines are drawn where they are, with what was counted."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import zone_drawing
from runtime.tracks import Tracks
from runtime.zone_drawing import LINE_COLOR, ZONE_COLOR, draw_zones
from runtime.zones import Line, Zone

ZONE = Zone("door", ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
LINE = Line("gate", ((0.1, 0.5), (0.9, 0.5)))
TRACKS = Tracks(
    np.zeros(0, np.int64), line_counts={"gate": {"in": 3, "out": 1}}, zone_counts={"door": 2}
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(zone_drawing, "_write", lambda image, text, point: texts.append(text))
    return texts


@pytest.mark.parametrize("image_hw", [(240, 320), (101, 401), (1080, 1920)])
def test_edges_are_where_the_fractions_say(image_hw: tuple[int, int]) -> None:
    image = np.zeros((*image_hw, 3), np.uint8)
    assert draw_zones(image, [ZONE], []) is image
    height, width = image_hw
    for x, y in ((0.25, 0.5), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75)):
        at = round(y * (height - 1)), round(x * (width - 1))
        assert (image[at] >= 0.8 * np.array(ZONE_COLOR)).all()  # edges are smoothed
    assert not image[round(0.5 * height), round(0.5 * width)].any()


def test_the_arrow_of_a_line_points_in() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_zones(image, [], [LINE])
    assert image[120, 100].tolist() == list(LINE_COLOR)
    assert image[125:140, 150:170].any()  # in is below: on the right of who walks to the right
    assert not image[100:115, 150:170].any()


def test_names_come_with_their_counts(written: list[str]) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_zones(image, [ZONE], [LINE], TRACKS)
    assert written == ["door 2", "gate in 3 out 1"]


def test_without_counts_names_stand_alone(written: list[str]) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_zones(image, [ZONE], [LINE])
    draw_zones(image, [ZONE], [LINE], Tracks(np.zeros(0, np.int64)))
    assert written == ["door", "gate"] * 2


@pytest.mark.parametrize("image_hw", [(1, 1), (16, 16), (480, 640)])
def test_everything_fits_on_any_picture(image_hw: tuple[int, int]) -> None:
    image = np.zeros((*image_hw, 3), np.uint8)
    corner = Zone("corner", ((0.9, 0.9), (1.0, 0.9), (1.0, 1.0)))
    edge = Line("edge", ((1.0, 0.0), (1.0, 1.0)))
    assert draw_zones(image, [ZONE, corner], [LINE, edge], TRACKS).any()


def test_nothing_to_draw_leaves_the_picture_as_it_is() -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    assert not draw_zones(image, [], [], TRACKS).any()
