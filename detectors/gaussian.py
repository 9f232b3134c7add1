"""Soft corner targets: how large a Gaussian may be, and drawing it on a heatmap.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 3.2.
"""

from __future__ import annotations

import functools
import math

import numpy as np


def gaussian_radius(height: float, width: float, min_overlap: float) -> float:
    """Return how far both corners of a box may move with the box still a good answer.

    Any box whose corners lie within the radius of the true ones overlaps the true box by at least
    ``min_overlap`` (intersection over union). Three worst cases bound it: both corners move
    inwards, both move outwards, or the box slides as a whole.

    Args:
        height: Height of the true box, usually in heatmap cells; not negative.
        width: Width of the true box, in the same unit; not negative.
        min_overlap: Smallest acceptable intersection over union, in (0, 1); 0.3 in the published
            networks.

    Returns:
        The radius in the unit of ``height``; callers truncate it to whole cells.

    Raises:
        ValueError: If a side is negative or ``min_overlap`` is outside (0, 1).

    Example:
        >>> round(gaussian_radius(10.0, 20.0, 0.3), 3)
        2.89
    """
    if not (height >= 0 and width >= 0 and 0 < min_overlap < 1):
        raise ValueError(
            f"gaussian_radius got height {height}, width {width}, min_overlap {min_overlap}; "
            "expected sides of at least 0 and an overlap between 0 and 1"
        )
    area, perimeter_half = height * width, height + width
    slide = _smaller_root(1.0, perimeter_half, area * (1 - min_overlap) / (1 + min_overlap))
    shrink = _smaller_root(4.0, 2 * perimeter_half, area * (1 - min_overlap))
    # Growing: 4 o r^2 + 2 o (h + w) r - (1 - o) h w = 0, which has one positive root.
    a, b, c = 4 * min_overlap, 2 * min_overlap * perimeter_half, (1 - min_overlap) * area
    grow = (-b + math.sqrt(b * b + 4 * a * c)) / (2 * a)
    return min(slide, shrink, grow)


def _smaller_root(a: float, b: float, c: float) -> float:
    """Solve a r^2 - b r + c = 0 for the root nearer to zero."""
    return (b - math.sqrt(b * b - 4 * a * c)) / (2 * a)


@functools.lru_cache(maxsize=512)
def gaussian_patch(radius: int) -> np.ndarray:
    """Return a Gaussian of peak 1 and standard deviation (2 radius + 1) / 6, cut at ``radius``.

    Returns:
        Read-only float64 array (2 radius + 1, 2 radius + 1), shared between callers.
    """
    sigma = (2 * radius + 1) / 6
    squares = np.arange(-radius, radius + 1, dtype=np.float64) ** 2
    patch = np.exp(-(squares[:, None] + squares[None, :]) / (2 * sigma * sigma))
    patch.flags.writeable = False
    return patch


def draw_gaussian(heatmap: np.ndarray, center_xy: tuple[int, int], radius: int) -> None:
    """Raise ``heatmap`` in place to a Gaussian around one cell, where it is lower.

    What falls beyond the border is cut off. A centre outside the heatmap draws nothing: a corner
    that is not on the map must not leave a peak on it.

    Args:
        heatmap: Float array (H, W), changed in place.
        center_xy: Column and row of the peak.
        radius: Half the patch's side in whole cells; 0 sets the centre alone.

    Raises:
        ValueError: If ``heatmap`` is not 2-D or ``radius`` is negative.
    """
    if heatmap.ndim != 2 or radius < 0:
        raise ValueError(
            f"draw_gaussian got a heatmap of shape {heatmap.shape} and radius {radius}; "
            "expected (H, W) and a radius of at least 0"
        )
    (x, y), (height, width) = center_xy, heatmap.shape
    if not (0 <= x < width and 0 <= y < height):
        return
    left, right = min(x, radius), min(width - 1 - x, radius)
    above, below = min(y, radius), min(height - 1 - y, radius)
    window = heatmap[y - above : y + below + 1, x - left : x + right + 1]
    patch = gaussian_patch(radius)[
        radius - above : radius + below + 1, radius - left : radius + right + 1
    ]
    np.maximum(window, patch, out=window, casting="same_kind")
