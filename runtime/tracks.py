"""What tracking adds to the boxes of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crossing:
    """An object crossed a line.

    Attributes:
        line: Name of the line.
        direction: "in", from the left of the line to its right as seen from its first point to
            its second, or "out".
        track_id: Of the object.
        class_id: Of the object.
    """

    line: str
    direction: str
    track_id: int
    class_id: int


@dataclass(frozen=True)
class Tracks:
    """What tracking says of one picture's detections.

    Attributes:
        ids: int64 (N,), for each detection the object it belongs to, from 1; -1 for none yet.
        crossings: Lines crossed on this very picture.
        line_counts: For each line's name, objects that went "in" and "out" since the start.
        zone_counts: For each zone's name, objects inside it now.
        class_counts: The line counts of each class that crossed: by the line's name, then the
            class's, then the direction.
    """

    ids: np.ndarray
    crossings: tuple[Crossing, ...] = ()
    line_counts: dict[str, dict[str, int]] | None = None
    zone_counts: dict[str, int] | None = None
    class_counts: dict[str, dict[str, dict[str, int]]] | None = None
