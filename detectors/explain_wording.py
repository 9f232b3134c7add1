"""The failures in words, in the order in which the picture and the JSON file list them."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.explain_corners import Corner, Gate, Pair
from detectors.explain_failures import AmbiguousPair, MissedObject, UnpairedCorner, WrongPair
from detectors.explain_image import Explanation

KIND_NAMES = {"tl": "top-left", "br": "bottom-right"}
OTHER_KIND = {"tl": "br", "br": "tl"}


@dataclass(frozen=True)
class Finding:
    """One failure, as one line.

    Attributes:
        kind: "wrong", "missed", "unpaired" or "ambiguous".
        mark: What it is called on the picture: a box's number, an object's letter, u1, u2 ...
        title: What is concerned.
        reason: Why.
        corners: The corners that the reason is about; None where one is missing.
        distance: Distance of their embeddings, if there are two.
        failed: The tests that they fail together.
    """

    kind: str
    mark: str
    title: str
    reason: str
    corners: tuple[Corner | None, ...]
    distance: float | None
    failed: tuple[Gate, ...] = ()


def object_mark(index: int) -> str:
    """Return the name of an annotated object: A to Z, then A1, B1 and so on."""
    turn, letter = divmod(index, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")


def describe_failures(explanation: Explanation) -> list[Finding]:
    """Return wrong boxes, missed objects, corners alone and pairs in doubt, in this order."""
    words = _Words(explanation)
    failures = explanation.failures
    # The choice that the embeddings would have decided the other way is the most doubtful.
    doubts = sorted(failures.ambiguous, key=lambda found: found.rival_distance - _own(found))
    return [
        *(words.wrong(found) for found in failures.wrong),
        *(words.missed(found) for found in failures.missed),
        *(words.unpaired(place, found) for place, found in enumerate(failures.unpaired, 1)),
        *(words.ambiguous(found) for found in doubts),
    ]


def _own(found: AmbiguousPair) -> float:
    return found.pair.distance


class _Words:
    """Says things about one explanation.

    Args:
        explanation: What the sentences are about.
    """

    def __init__(self, explanation: Explanation) -> None:
        self.names = explanation.class_names
        self.threshold = explanation.score_threshold
        self.limit = explanation.embedding_limit
        self.truth = explanation.truth
        self.numbers = {box.pair: str(n) for n, box in enumerate(explanation.shown, 1)}
        self.scores = {box.pair: box.score for box in explanation.shown}
        # A corner may serve several boxes: the best one names it.
        self.places = {
            corner: f"box {number}'s"
            for pair, number in reversed(self.numbers.items())
            for corner in pair.corners
        } | {found.corner: f"u{n}," for n, found in enumerate(explanation.failures.unpaired, 1)}

    def wrong(self, found: WrongPair) -> Finding:
        """Say to which objects the corners of a wrong box belong."""
        first, second = found.owners
        if first is not None and second is not None and first != second:
            reason = f"top-left corner of {object_mark(first)}, bottom-right of "
            reason += f"{object_mark(second)}: embeddings {found.pair.distance:.2f} apart"
        elif first is not None and first == second:
            reason = f"both corners are near {object_mark(first)}'s: a second box of it, or inexact"
        elif first is None and second is None:
            reason = f"no {self._class(found.pair.top_left)} is annotated at either corner"
        else:
            kind, owner = ("br", first) if second is None else ("tl", second)
            reason = f"{KIND_NAMES[OTHER_KIND[kind]]} corner of {object_mark(owner)}, "
            reason += f"but its {KIND_NAMES[kind]} corner is no object's"
        pair = found.pair
        return Finding(
            "wrong", self.numbers[pair], self._box(pair), reason, pair.corners, pair.distance
        )

    def missed(self, found: MissedObject) -> Finding:
        """Say which corner of an object is missing, or why its two corners were not joined."""
        lacking = [
            self._lacking(kind, corner)
            for kind, corner in zip(KIND_NAMES, found.corners, strict=True)
            if corner is None or corner.score < self.threshold
        ]
        complaints = [self._complaint(gate, found.distance) for gate in found.failed]
        said = lacking + [complaint for complaint in complaints if complaint]
        reason = "; ".join(said) or "both corners fit; another box took one of them, or removed it"
        title = self.names[self.truth.class_ids[found.index]] if self.truth else ""
        return Finding(
            "missed",
            object_mark(found.index),
            title,
            reason,
            found.corners,
            found.distance,
            found.failed,
        )

    def unpaired(self, place: int, found: UnpairedCorner) -> Finding:
        """Say which partner came nearest to a corner, and what spoke against it."""
        corner, nearest = found.corner, found.nearest
        title = f"{KIND_NAMES[corner.kind]} corner, {self._scored(corner)}"
        if nearest is None:
            reason = f"the image has no {KIND_NAMES[OTHER_KIND[corner.kind]]} corner"
        elif not found.failed:
            reason = f"fits {self._known(nearest)}, but soft-NMS removed that box"
        else:
            complaints = [self._complaint(gate, found.distance) for gate in found.failed]
            said = [complaint for complaint in complaints if complaint]
            if Gate.SCORE in found.failed:
                said.append(f"weaker than {self.threshold:.2f}")
            reason = f"nearest partner {self._known(nearest)}: {', '.join(said)}"
        corners = (corner, nearest)
        return Finding(
            "unpaired", f"u{place}", title, reason, corners, found.distance, found.failed
        )

    def ambiguous(self, found: AmbiguousPair) -> Finding:
        """Say which other partner a corner of a box had."""
        kind = found.corner.kind
        reason = (
            f"its {KIND_NAMES[kind]} corner also fits {self._known(found.rival)}: embeddings "
            f"{found.rival_distance:.2f} apart, its own {found.pair.distance:.2f}"
        )
        corners, distance = (found.corner, found.rival), found.rival_distance
        mark, title = self.numbers[found.pair], self._box(found.pair)
        return Finding("ambiguous", mark, title, reason, corners, distance)

    def _lacking(self, kind: str, corner: Corner | None) -> str:
        if corner is None:
            return f"no {KIND_NAMES[kind]} corner"
        return f"{KIND_NAMES[kind]} corner scores {corner.score:.2f}, below {self.threshold:.2f}"

    def _complaint(self, gate: Gate, distance: float | None) -> str:
        """Say what a test of the decoder found; the score is told elsewhere."""
        return {
            Gate.CLASS: "another class",
            Gate.POSITION: "not below and to the right of the top-left corner",
            Gate.EMBEDDING: f"embeddings {distance or 0:.2f} apart, limit {self.limit:.2f}",
            Gate.BORDER: "at the border, which cuts the object off",
            Gate.SCORE: "",
        }[gate]

    def _class(self, corner: Corner) -> str:
        return self.names[corner.class_id]

    def _known(self, corner: Corner) -> str:
        """Name a corner by the box that it is part of, or its own mark."""
        place = f"{self.places[corner]} " if corner in self.places else ""
        return f"{place}{KIND_NAMES[corner.kind]} {self._scored(corner)}"

    def _scored(self, corner: Corner) -> str:
        return f"{self._class(corner)} {corner.score:.2f}"

    def _box(self, pair: Pair) -> str:
        return f"{self._class(pair.top_left)} {self.scores[pair]:.2f}"
