"""Every corner that the decoder considers, and why each possible pair was taken or refused.

``detectors.decode`` answers with boxes; this module keeps what it forgets. Both find the same
corners with the same function and apply the same rules, so the pairs accepted here are the
decoder's rows.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, sections 3.1 and 4.2.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from detectors.decode import find_corners
from runtime.contract import DecodeParams


class Gate(enum.Enum):
    """A test that two corners must pass to become a box; the order is that of the wording."""

    CLASS = "class"
    POSITION = "position"
    EMBEDDING = "embedding"
    # Only of decoders that drop what the border of their picture cuts off.
    BORDER = "border"
    # Not the decoder's: a pair below the score threshold is a box that nobody sees.
    SCORE = "score"


@dataclass(frozen=True)
class Corner:
    """One peak of a heatmap.

    Attributes:
        kind: "tl" or "br".
        rank: Place among the corners of its kind in the image, 0 for the strongest.
        class_id: Channel of the heatmap.
        score: Value of the heatmap, in [0, 1].
        cell_xy: Column and row of the peak.
        xy: The same with the predicted offset added, in heatmap cells.
        embedding: Value of the embedding map at the peak.
    """

    kind: str
    rank: int
    class_id: int
    score: float
    cell_xy: tuple[int, int]
    xy: tuple[float, float]
    embedding: float


@dataclass(frozen=True)
class Pair:
    """Two corners that the decoder joins.

    Attributes:
        top_left: Its top-left corner.
        bottom_right: Its bottom-right corner.
        distance: Difference of their embeddings, not negative.
        score: Mean of their scores, of the kind that the decoder's ``pair_score`` names.
    """

    top_left: Corner
    bottom_right: Corner
    distance: float
    score: float

    @property
    def corners(self) -> tuple[Corner, Corner]:
        """Both corners, the top-left one first."""
        return self.top_left, self.bottom_right

    @property
    def box_cells(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge in heatmap cells."""
        return *self.top_left.xy, *self.bottom_right.xy


@dataclass(frozen=True)
class Pairing:
    """All corners of one image and the outcome of every test on every two of them.

    Matrices have a row per top-left and a column per bottom-right corner.

    Attributes:
        top_left: The best top-left corners, strongest first.
        bottom_right: The best bottom-right corners, strongest first.
        distances: float32 (K, K), differences of embeddings.
        scores: float32 (K, K), what each pair would score.
        failed: bool (K, K) for every gate of the decoder, True where the pair fails it.
    """

    top_left: tuple[Corner, ...]
    bottom_right: tuple[Corner, ...]
    distances: np.ndarray
    scores: np.ndarray
    failed: Mapping[Gate, np.ndarray]

    @property
    def accepted(self) -> np.ndarray:
        """Bool (K, K), True where the decoder makes a box of the pair."""
        return ~np.logical_or.reduce(list(self.failed.values()))

    def pairs(self, most: int) -> list[Pair]:
        """Return the accepted pairs, best first, at most ``most``."""
        rows, columns = np.nonzero(self.accepted)
        order = np.argsort(-self.scores[rows, columns], kind="stable")[:most]
        return [self.pair(rows[place], columns[place]) for place in order]

    def pair(self, row: int, column: int) -> Pair:
        """Return the pair of top-left corner ``row`` and bottom-right corner ``column``."""
        return Pair(
            self.top_left[row],
            self.bottom_right[column],
            float(self.distances[row, column]),
            float(self.scores[row, column]),
        )

    def partners(self, corner: Corner) -> tuple[Corner, ...]:
        """Return the corners of the other kind."""
        return self.bottom_right if corner.kind == "tl" else self.top_left

    def distance(self, one: Corner, other: Corner) -> float:
        """Return the difference of the embeddings of two corners of different kind."""
        return float(self.distances[_place(one, other)])

    def failed_gates(self, one: Corner, other: Corner) -> tuple[Gate, ...]:
        """Return the decoder's tests that two corners of different kind fail together."""
        return tuple(gate for gate, fails in self.failed.items() if fails[_place(one, other)])


def pair_corners(maps: Mapping[str, Tensor], decode: DecodeParams) -> Pairing:
    """Find the corners of the first image and test every two of them.

    Args:
        maps: Raw maps as of ``detectors.decode.decode_corners``.
        decode: The decoder's parameters.

    Returns:
        Its ``pairs(decode.num_dets)`` are the decoder's rows that are not empty.
    """
    found = {
        kind: _corners_of(maps, kind, decode.top_k, decode.nms_kernel) for kind in ("tl", "br")
    }

    def table(name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a value of the top-left corners as a column, of the others as a row."""
        first, second = (
            np.array([getattr(corner, name) for corner in found[kind]]) for kind in found
        )
        return first[:, None], second[None]

    classes, others = table("class_id")
    tags, other_tags = (values.astype(np.float32) for values in table("embedding"))
    first_xy, second_xy = (values.astype(np.float32) for values in table("xy"))
    scores, other_scores = (values.astype(np.float32) for values in table("score"))
    distances = np.abs(tags - other_tags)
    last = maps["tl_heat"].shape[3] - 1, maps["tl_heat"].shape[2] - 1
    cut_off, others_cut_off = table("cell_xy")
    geometric = decode.pair_score == "geometric"
    failed = {
        Gate.CLASS: classes != others,
        Gate.POSITION: (first_xy > second_xy).any(axis=-1),
        Gate.EMBEDDING: distances > np.float32(decode.ae_threshold),
    }
    if decode.drop_border:
        at_border = (cut_off == 0).any(-1) | (others_cut_off == last).any(-1)
        failed[Gate.BORDER] = at_border
    pair_scores = np.sqrt(scores * other_scores) if geometric else (scores + other_scores) / 2
    return Pairing(found["tl"], found["br"], distances, pair_scores, failed)


def _corners_of(
    maps: Mapping[str, Tensor], kind: str, top_k: int, nms_kernel: int
) -> tuple[Corner, ...]:
    """Return one image's corners of one kind, strongest first."""
    found = find_corners(maps, kind, top_k, nms_kernel)
    columns = zip(*(values[0].tolist() for values in found), strict=True)
    return tuple(
        Corner(kind, rank, class_id, score, (int(cell_x), int(cell_y)), (x, y), tag)
        for rank, (score, class_id, cell_x, cell_y, x, y, tag) in enumerate(columns)
    )


def _place(one: Corner, other: Corner) -> tuple[int, int]:
    """Return the row and column of two corners, whichever is given first."""
    return (one.rank, other.rank) if one.kind == "tl" else (other.rank, one.rank)
