"""Where CornerNet-Saccade looks next: from attention maps and first boxes to places and zooms.

A place is a row ``y, x, scale, score``: the middle of a crop in image pixels, the network pixels
that an image pixel shall have there, and how sure the network is.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, sections 3.1 to 3.3; numbers as in the
published test code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# Network pixels per cell of the three maps: large, medium and small objects.
ATTENTION_STRIDES = (16, 8, 4)
# An attended place is zoomed by this much: small objects most.
ATTENTION_ZOOMS = (1.0, 2.0, 4.0)
# Where the picture is enlarged this much already, or would be then, nothing is gained.
LARGEST_SEEN_SCALE = 2.0
LARGEST_SCALE = 4.0
# A box's longer side, in image pixels, and the network pixels that it is brought to.
SMALL_PX, MEDIUM_PX = 32.0, 96.0
SMALL_TARGET_PX, MEDIUM_TARGET_PX, LARGE_TARGET_PX = 24.0, 64.0, 192.0
# Places at zooms of this ratio see the same.
SAME_ZOOM = (0.8, 1.2)
# Places closer than this in network pixels see the same.
SAME_PLACE_PX = 16.0


@dataclass(frozen=True)
class Seen:
    """What one pass of the network looked at.

    Attributes:
        scales: float (N,), network pixels per image pixel in each crop.
        offsets_yx: float (N, 2), image pixel at each crop's first row and column.
        image_hw: Height and width of the image.
    """

    scales: np.ndarray
    offsets_yx: np.ndarray
    image_hw: tuple[int, int]


def attention_peaks(scores: np.ndarray) -> np.ndarray:
    """Set every cell to zero that is not the largest of its 3x3 neighbourhood.

    Args:
        scores: float32 (N, 1, h, w); not modified.

    Returns:
        New array of the same shape; of a plateau every cell stays.
    """
    window = np.ones((3, 3), np.uint8)
    peaks = [np.where(cv2.dilate(grid, window) == grid, grid, 0.0) for grid in scores[:, 0]]
    return np.asarray(peaks, scores.dtype).reshape(scores.shape)


def places_from_attention(
    peaks: Sequence[np.ndarray], seen: Seen, threshold: float = 0.3
) -> np.ndarray:
    """Return the places that the attention maps point at.

    Args:
        peaks: Three results of ``attention_peaks``, float32 (N, 1, h, w), as in
            ``ATTENTION_STRIDES``.
        seen: What the network looked at.
        threshold: A place's score lies above this; 0.3 as published.

    Returns:
        float64 (n, 4), y, x, scale, score, unsorted; all lie on the image.
    """
    places = [np.zeros((0, 4))]
    height, width = seen.image_hw
    for crop, scale in enumerate(seen.scales.astype(np.float64).tolist()):
        for grids, stride, zoom in zip(peaks, ATTENTION_STRIDES, ATTENTION_ZOOMS, strict=True):
            if scale > LARGEST_SEEN_SCALE or zoom * scale > LARGEST_SCALE:
                continue
            cells = np.argwhere(grids[crop, 0] > threshold)
            scores = grids[crop, 0, cells[:, 0], cells[:, 1]]
            centres = cells * stride / scale + seen.offsets_yx[crop].astype(np.float64)
            inside = ((centres >= 0) & (centres < [height, width])).all(axis=1)
            zooms = np.full(len(cells), zoom * scale)
            places.append(np.column_stack([centres, zooms, scores])[inside])
    return np.concatenate(places)


def places_from_boxes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return a place for every box, zoomed so that an object of its size is seen well.

    Args:
        boxes_xyxy: float32 (n, 4) in image pixels.

    Returns:
        float32 (n, 4), y, x, scale, score; the score is 1, above every attended place.
    """
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    # A box of less than a pixel would ask for a zoom without limit.
    longer = np.maximum(sizes.max(axis=1, initial=0), np.float32(1))
    targets = np.select(
        [longer > MEDIUM_PX, longer > SMALL_PX],
        [np.float32(LARGE_TARGET_PX), np.float32(MEDIUM_TARGET_PX)],
        np.float32(SMALL_TARGET_PX),
    )
    x, y = ((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2).T
    return np.column_stack([y, x, targets / longer, np.ones_like(longer)])


def suppress_places(places: np.ndarray, count: int | None = None) -> np.ndarray:
    """Keep the best places, each only if no better one sees the same.

    Two places see the same if their zooms are alike and they are near each other in *either*
    direction, as in the published code: of two objects side by side the weaker is dropped, too.
    Of equal scores the later comes first.

    Args:
        places: float (n, 4), y, x, scale, score; not modified.
        count: Most places to keep; None keeps all.

    Returns:
        float (m, 4), best first.
    """
    # The published code reverses an unstable ascending sort; this is its stable form.
    places = places[np.argsort(places[:, 3], kind="stable")[::-1]]
    kept: list[np.ndarray] = []
    while len(places) and (count is None or len(kept) < count):
        best = places[0]
        kept.append(best)
        distance = np.abs(places[:, :2] - best[:2]).min(axis=1)
        ratio = best[2] / places[:, 2]
        other_zoom = (ratio < SAME_ZOOM[0]) | (ratio > SAME_ZOOM[1])
        differs = (distance > SAME_PLACE_PX / best[2]) | other_zoom
        differs[0] = False
        places = places[differs]
    return np.stack(kept) if kept else places[:0]
