"""Places labels on a picture: none over another, few over the boxes, each near its point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Where a label may sit, in its own widths and heights from its point to its top-left corner. Above
# the point and flush with it comes first; then ever further away.
SPOTS = sorted(
    ((across, down) for across in (0, -1, -0.5, -2, 1) for down in range(-5, 5)),
    key=lambda spot: abs(spot[0]) + abs(spot[1] + 1) + (0.5 if spot[0] > 0 else 0),
)
# What a spot costs: labels that cover each other cannot be read, those over a box hide its content.
LABEL_COST, BOX_COST, STEP_COST = 100.0, 1.0, 0.12


def place_labels(
    points_xy: np.ndarray,
    sizes_wh: np.ndarray,
    bounds_wh: tuple[float, float],
    boxes_xyxy: np.ndarray | None = None,
) -> list[tuple[float, float]]:
    """Choose the top-left corner of every label, the first label first.

    Args:
        points_xy: float (n, 2), the points that the labels belong to; y grows downwards.
        sizes_wh: float (n, 2), widths and heights of the labels, in the same unit.
        bounds_wh: Width and height of the picture; labels stay inside.
        boxes_xyxy: float (m, 4), what should rather not be covered.

    Returns:
        The left and top edge of every label.
    """
    boxes = np.zeros((0, 4)) if boxes_xyxy is None else np.asarray(boxes_xyxy, np.float64)
    taken: list[np.ndarray] = []
    for point, size in zip(points_xy, sizes_wh, strict=True):
        spots = [_inside(point + np.multiply(spot, size), size, bounds_wh) for spot in SPOTS]
        area = float(np.prod(size))
        costs = [
            LABEL_COST * _covered(spot, taken) / area
            + BOX_COST * _covered(spot, boxes) / area
            + STEP_COST * place
            for place, spot in enumerate(spots)
        ]
        taken.append(spots[int(np.argmin(costs))])
    return [(float(left), float(top)) for left, top, _, _ in taken]


def _inside(corner: np.ndarray, size: np.ndarray, bounds_wh: Sequence[float]) -> np.ndarray:
    """Return a label as left, top, right, bottom, moved inside the bounds."""
    corner = np.clip(corner, 0, np.maximum(np.asarray(bounds_wh) - size, 0))
    return np.concatenate([corner, corner + size])


def _covered(label: np.ndarray, others: Sequence[np.ndarray] | np.ndarray) -> float:
    """Return the area that a label shares with others, summed."""
    if not len(others):
        return 0.0
    stacked = np.stack(others)
    sides = np.minimum(label[2:], stacked[:, 2:]) - np.maximum(label[:2], stacked[:, :2])
    return float(np.clip(sides, 0, None).prod(axis=1).sum())
