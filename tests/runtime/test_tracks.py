"""What tracking says is a record that cannot be reassigned by accident."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtime.tracks import Crossing, Tracks


def test_tracks_hold_ids_alone_unless_something_is_counted() -> None:
    tracks = Tracks(np.array([3, -1], np.int64))
    assert tracks.crossings == ()
    assert tracks.line_counts is tracks.zone_counts is tracks.class_counts is None


def test_tracks_and_crossings_are_frozen() -> None:
    crossing = Crossing("gate", "in", 3, 0)
    tracks = Tracks(np.array([3], np.int64), (crossing,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        tracks.ids = np.zeros(1, np.int64)  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        crossing.direction = "out"  # type: ignore[misc]
