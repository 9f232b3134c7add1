"""What went wrong on one image: corners left alone, pairs in doubt, wrong boxes, missed objects.

Everything here is a function of the corners, the boxes that were shown and, where given, the
annotated objects; coordinates are heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.explain_corners import Corner, Gate, Pair, Pairing
from detectors.gaussian import gaussian_radius

# A box finds an object of its class from this intersection over union on, as in COCO's AP50.
FOUND_OVERLAP = 0.5
# A corner belongs to the object whose corner is this near; training forgives the same distance.
CORNER_OVERLAP = 0.3


@dataclass(frozen=True)
class Objects:
    """The annotated objects of an image.

    Attributes:
        boxes_cells: float64 (n, 4), left, top, right, bottom in heatmap cells.
        class_ids: int64 (n,), the network's class ids.
    """

    boxes_cells: np.ndarray
    class_ids: np.ndarray

    def owner_of(self, corner: Corner) -> int | None:
        """Return the object of the corner's class whose own corner is near; None without one.

        Near means within the radius in which training calls a corner nearly right, at least one
        cell. The nearest one, measured in its radius, wins.
        """
        first = 0 if corner.kind == "tl" else 2
        nearest, owner = 1.0, None
        for index in np.flatnonzero(self.class_ids == corner.class_id).tolist():
            box = self.boxes_cells[index]
            radius = gaussian_radius(*np.maximum(box[[3, 2]] - box[[1, 0]], 0), CORNER_OVERLAP)
            away = np.hypot(*(box[first : first + 2] - corner.xy)) / max(radius, 1.0)
            if away <= nearest:
                nearest, owner = float(away), index
        return owner


@dataclass(frozen=True)
class UnpairedCorner:
    """A strong corner that is part of no box shown.

    Attributes:
        corner: The corner.
        nearest: The partner that fails the fewest tests, of those the strongest; None if the image
            has no corner of the other kind.
        distance: Distance of their embeddings.
        failed: The tests that the two fail. Empty: their box was removed after pairing.
    """

    corner: Corner
    nearest: Corner | None
    distance: float | None
    failed: tuple[Gate, ...]


@dataclass(frozen=True)
class AmbiguousPair:
    """A box shown of which one corner had a second strong partner that passes every test.

    Attributes:
        pair: The box shown.
        corner: The corner that had the choice.
        rival: Its other partner.
        rival_distance: Distance of their embeddings.
    """

    pair: Pair
    corner: Corner
    rival: Corner
    rival_distance: float


@dataclass(frozen=True)
class WrongPair:
    """A box shown that finds no annotated object, or was made of corners of two.

    Attributes:
        pair: The box.
        owners: The object that each corner belongs to, the top-left corner's first; None for none.
    """

    pair: Pair
    owners: tuple[int | None, int | None]


@dataclass(frozen=True)
class MissedObject:
    """An annotated object that no box shown finds.

    Attributes:
        index: Its place in ``Objects``.
        corners: The strongest corner near each of its two, top-left first; None where not even a
            weak one was found.
        distance: Distance of their embeddings where both were found.
        failed: The tests that the two fail together.
    """

    index: int
    corners: tuple[Corner | None, Corner | None]
    distance: float | None
    failed: tuple[Gate, ...]


@dataclass(frozen=True)
class Failures:
    """Everything found; ``wrong`` and ``missed`` are empty without annotations."""

    unpaired: tuple[UnpairedCorner, ...]
    ambiguous: tuple[AmbiguousPair, ...]
    wrong: tuple[WrongPair, ...]
    missed: tuple[MissedObject, ...]


def find_failures(
    pairing: Pairing, shown: Sequence[Pair], score_threshold: float, objects: Objects | None = None
) -> Failures:
    """Look for all four kinds of failure.

    Args:
        pairing: All corners of the image.
        shown: The pairs whose boxes were shown, best first.
        score_threshold: Score from which a corner counts as strong, in [0, 1].
        objects: What is really there, if known.
    """
    unpaired = find_unpaired(pairing, shown, score_threshold)
    ambiguous = find_ambiguous(pairing, shown, score_threshold)
    if objects is None:
        return Failures(unpaired, ambiguous, (), ())
    matched = match_objects(shown, objects)
    wrong = []
    for pair, match in zip(shown, matched, strict=True):
        owners = (objects.owner_of(pair.top_left), objects.owner_of(pair.bottom_right))
        # Of two objects nearly on top of each other such a box still overlaps one by half.
        is_mixed = None not in owners and owners[0] != owners[1]
        if match is None or is_mixed:
            wrong.append(WrongPair(pair, owners))
    missed = tuple(
        _missed_object(pairing, objects, index, score_threshold)
        for index in range(len(objects.class_ids))
        if index not in matched
    )
    return Failures(unpaired, ambiguous, tuple(wrong), missed)


def find_unpaired(
    pairing: Pairing, shown: Sequence[Pair], score_threshold: float
) -> tuple[UnpairedCorner, ...]:
    """Return every strong corner that is part of no pair shown, the strongest first."""
    used = {corner for pair in shown for corner in pair.corners}
    alone = [
        corner
        for corner in (*pairing.top_left, *pairing.bottom_right)
        if corner.score >= score_threshold and corner not in used
    ]
    alone.sort(key=lambda corner: -corner.score)
    return tuple(_explain_unpaired(pairing, corner, score_threshold) for corner in alone)


def _explain_unpaired(pairing: Pairing, corner: Corner, score_threshold: float) -> UnpairedCorner:
    """Name the partner that came nearest, and what spoke against it."""
    candidates = [
        (failed_tests(pairing, corner, partner, score_threshold), partner)
        for partner in pairing.partners(corner)
    ]
    if not candidates:
        return UnpairedCorner(corner, None, None, ())
    failed, nearest = min(candidates, key=lambda found: (len(found[0]), -found[1].score))
    return UnpairedCorner(corner, nearest, pairing.distance(corner, nearest), failed)


def failed_tests(
    pairing: Pairing, corner: Corner, partner: Corner, score_threshold: float
) -> tuple[Gate, ...]:
    """Return the decoder's tests that two corners fail, and whether the partner is too weak."""
    weak = (Gate.SCORE,) if partner.score < score_threshold else ()
    return pairing.failed_gates(corner, partner) + weak


def find_ambiguous(
    pairing: Pairing, shown: Sequence[Pair], score_threshold: float
) -> tuple[AmbiguousPair, ...]:
    """Return the choices that pairs shown had between two partners, both of which pass all tests.

    Two corners of other boxes shown count as well: the embeddings then fail to tell two objects
    apart, and only the scores decide.
    """
    found = []
    for pair in shown:
        for corner, own in (pair.corners, pair.corners[::-1]):
            for rival in pairing.partners(corner):
                if rival != own and not failed_tests(pairing, corner, rival, score_threshold):
                    distance = pairing.distance(corner, rival)
                    found.append(AmbiguousPair(pair, corner, rival, distance))
    return tuple(found)


def match_objects(shown: Sequence[Pair], objects: Objects) -> list[int | None]:
    """Give every box the object that it finds, the best box first, each object once.

    Args:
        shown: Pairs, best first.
        objects: What is there.

    Returns:
        Per pair the index of its object, or None.
    """
    free = set(range(len(objects.class_ids)))
    matched: list[int | None] = []
    for pair in shown:
        overlaps = overlap_with(pair.box_cells, objects.boxes_cells)
        same = [i for i in free if objects.class_ids[i] == pair.top_left.class_id]
        best = max(same, key=lambda index: overlaps[index], default=None)
        if best is not None and overlaps[best] < FOUND_OVERLAP:
            best = None
        free.discard(best)
        matched.append(best)
    return matched


def overlap_with(box_xyxy: Sequence[float], boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return the intersection over union of one box with each of (n, 4) boxes, float64 (n,)."""
    box = np.asarray(box_xyxy, np.float64)
    sides = np.minimum(box[2:], boxes_xyxy[:, 2:]) - np.maximum(box[:2], boxes_xyxy[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    union = areas + (box[2:] - box[:2]).prod() - shared
    return np.divide(shared, union, out=np.zeros(len(boxes_xyxy)), where=union > 0)


def _missed_object(
    pairing: Pairing, objects: Objects, index: int, score_threshold: float
) -> MissedObject:
    """Look for the corners that the object should have had."""
    first, second = (
        next((corner for corner in corners if objects.owner_of(corner) == index), None)
        for corners in (pairing.top_left, pairing.bottom_right)
    )
    if first is None or second is None:
        return MissedObject(index, (first, second), None, ())
    weak = (Gate.SCORE,) if min(first.score, second.score) < score_threshold else ()
    failed = pairing.failed_gates(first, second) + weak
    return MissedObject(index, (first, second), pairing.distance(first, second), failed)
