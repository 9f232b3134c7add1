"""How far two runs of one network on the same frame agree, whatever ran them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from runtime.contract import DETECTION_NAMES

Arrays = Mapping[str, np.ndarray]

# Detections below this score are not shown to a user by default; pairs above must agree.
SCORE_THRESHOLD = 0.3
# Two boxes are the same detection from this overlap on.
MIN_IOU = 0.95


@dataclass(frozen=True)
class Difference:
    """How far one output is off.

    Attributes:
        name: The output.
        largest_difference: Largest absolute difference of a value.
        largest_value: Largest absolute value of the reference.
    """

    name: str
    largest_difference: float
    largest_value: float

    @property
    def relative(self) -> float:
        """The largest difference as a share of the largest value."""
        return self.largest_difference / max(self.largest_value, 1e-30)


@dataclass
class Agreement:
    """The outcome over the frames compared so far.

    Attributes:
        frames: Frames compared.
        differences: By output: raw maps as they are, detection outputs over matched rows.
        wanted: Rows above ``SCORE_THRESHOLD`` of either side, which must have a partner.
        matched: How many of them have one.
    """

    frames: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)
    wanted: int = 0
    matched: int = 0

    @property
    def matched_share(self) -> float:
        """Share of the wanted rows that have a partner; 1 where there are none."""
        return self.matched / self.wanted if self.wanted else 1.0

    def maps(self) -> list[Difference]:
        """Return the differences of raw and attention maps, of those that both sides show."""
        return [found for name, found in self.differences.items() if name not in DETECTION_NAMES]

    def add(self, reference: Arrays, other: Arrays) -> None:
        """Compare one frame.

        Args:
            reference: ``boxes`` (1, D, 4), ``scores`` (1, D), ``class_ids`` (1, D), of a CornerNet
                ``corner_scores`` (1, D, 2), and any raw or attention maps, by name.
            other: The same; maps that it lacks are left out.
        """
        self.frames += 1
        for name in map_names(reference):
            if name in other:
                self._widen(name, reference[name], other[name])
        rows, others = _first(reference), _first(other)
        pairs = match_rows(rows, others)
        self._count(rows, others, pairs)
        if pairs:
            mine, theirs = (list(side) for side in zip(*pairs, strict=True))
            for name in [name for name in rows if name != "class_ids"]:
                self._widen(name, rows[name][mine], others[name][theirs])

    def _count(self, rows: Arrays, others: Arrays, pairs: list[tuple[int, int]]) -> None:
        """Count rows of both sides that are sure enough, and those of them with a partner."""
        for index, side in enumerate((rows, others)):
            sure = set(np.flatnonzero(side["scores"] > SCORE_THRESHOLD).tolist())
            self.wanted += len(sure)
            self.matched += len(sure & {pair[index] for pair in pairs})

    def _widen(self, name: str, reference: np.ndarray, other: np.ndarray) -> None:
        """Extend an output's largest difference and value by those of two arrays."""
        found = difference_of(name, reference, other)
        before = self.differences.get(name, Difference(name, 0.0, 0.0))
        self.differences[name] = Difference(
            name,
            max(before.largest_difference, found.largest_difference),
            max(before.largest_value, found.largest_value),
        )


def map_names(outputs: Iterable[str]) -> list[str]:
    """Return the raw and attention maps among the names of outputs."""
    return [name for name in outputs if name not in DETECTION_NAMES]


def difference_of(name: str, reference: np.ndarray, other: np.ndarray) -> Difference:
    """Compare two arrays of one shape; what is not a number differs without bound."""
    difference = float(np.abs(other.astype(np.float64) - reference).max(initial=0.0))
    if np.isnan(difference):
        difference = float("inf")
    return Difference(name, difference, float(np.abs(reference).max(initial=0.0)))


def match_rows(rows: Arrays, others: Arrays) -> list[tuple[int, int]]:
    """Pair detections of the same class that overlap by ``MIN_IOU``, best score first.

    A sure row may find a partner that is less sure: rounding moves scores across any threshold.

    Args:
        rows: ``boxes`` (D, 4), ``scores`` (D,) with -1 for an empty slot, ``class_ids`` (D,).
        others: The same; each row serves one partner only.

    Returns:
        Pairs of row numbers.
    """
    free = others["scores"] >= 0
    pairs = []
    for i in np.argsort(-rows["scores"], kind="stable"):
        if rows["scores"][i] < 0:
            break
        fits = free & (others["class_ids"] == rows["class_ids"][i])
        overlap = np.where(fits, box_iou(rows["boxes"][i], others["boxes"]), 0.0)
        if overlap.size and overlap.max() >= MIN_IOU:
            # Of several equal boxes, such as a peak found twice, take the nearest score.
            distance = np.abs(others["scores"] - rows["scores"][i])
            partner = int(np.argmin(np.where(overlap >= MIN_IOU, distance, np.inf)))
            free[partner] = False
            pairs.append((int(i), partner))
    return pairs


def box_iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of one box (4,) with boxes (n, 4), as (n,)."""
    start, end = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(end - start, 0, None).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-12))


def difference_table(differences: Iterable[Difference]) -> str:
    """Return differences as text, a line per output."""
    lines = [f"{'output':14} {'max |diff|':>12} {'max |value|':>12} {'share':>9}"]
    for entry in differences:
        lines.append(
            f"{entry.name:14} {entry.largest_difference:12.3e} "
            f"{entry.largest_value:12.3e} {entry.relative:9.1e}"
        )
    return "\n".join(lines)


def _first(outputs: Arrays) -> dict[str, np.ndarray]:
    """Return the detection outputs of the only frame of a batch."""
    return {name: outputs[name][0] for name in DETECTION_NAMES if name in outputs}
