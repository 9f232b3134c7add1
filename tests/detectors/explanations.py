"""A whole explanation made by hand: two boxes, one of them wrong, and a corner alone."""

from __future__ import annotations

import numpy as np

from detectors.explain_failures import Objects, find_failures
from detectors.explain_image import Explanation, Placement, ShownBox, Truth
from detectors.explain_pools import KIND_OF, PoolView
from runtime.geometry import Letterbox
from tests.detectors.explained import CELLS, NAMES, Peak, one_object, pairing_of

SIDE = 4 * CELLS
PEAKS = (
    *one_object(),
    Peak("br", 16, 18, 1, 0.7, 0.3),
    Peak("tl", 2, 18, 2, 0.6, 3.0),
)
TRUTH = Truth(np.array([[16.0, 20, 48, 56], [80, 80, 90, 90]]), np.array([1, 0]))


def an_explanation(
    peaks: tuple[Peak, ...] = PEAKS, truth: Truth | None = TRUTH, pools: bool = True
) -> Explanation:
    """Return what a network of 24 x 24 cells would have seen on a picture of 96 x 96 pixels."""
    pairing = pairing_of(*peaks)
    placement = Placement(Letterbox.fit((SIDE, SIDE), (SIDE, SIDE)), (CELLS, CELLS))
    pairs = [pair for pair in pairing.pairs(20) if pair.score >= 0.3]
    objects = None
    if truth is not None:
        objects = Objects(placement.to_cells(truth.boxes_xyxy), truth.class_ids)
    rng = np.random.default_rng(0)
    heat = np.zeros((3, CELLS, CELLS), np.float32)
    views = [
        PoolView(direction, kind, 1, 4, *rng.random((2, CELLS, CELLS), np.float32))
        for direction, kind in KIND_OF.items()
    ]
    return Explanation(
        image=rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        class_names=NAMES,
        placement=placement,
        heat={"tl": heat, "br": heat},
        pools=tuple(views) if pools else (),
        pairing=pairing,
        shown=tuple(
            ShownBox(pair, tuple(placement.to_image(pair.box_cells).tolist()), pair.score)
            for pair in pairs
        ),
        failures=find_failures(pairing, pairs, 0.3, objects),
        score_threshold=0.3,
        embedding_limit=0.5,
        truth=truth,
    )
