"""Non-maximum suppression exactly as CornerNet's own code computes it, quirks included.

Arithmetic is float32 but for the steps said below, and a box's extent counts its last pixel
(``x2 - x1 + 1``). Published figures depend on two quirks: a discarded box is overwritten by the
last live one, whose copy stays behind at the tail; and the published test code evaluates those
tail rows too.

Source: Bodla et al., "Soft-NMS", arXiv:1704.04503; Law and Deng, arXiv:1808.01244, section 4.3.
"""

from __future__ import annotations

import enum

import numpy as np


class NmsMethod(enum.IntEnum):
    """How the score of an overlapping box falls; the first three numbers are published."""

    HARD = 0  # to zero, above the overlap threshold
    LINEAR = 1  # by the overlap, above the overlap threshold
    GAUSSIAN = 2  # by exp(-overlap^2 / sigma), always
    NONE = 3  # not at all: for boxes of which no two show the same object


def soft_nms(
    boxes: np.ndarray,
    method: NmsMethod | int = NmsMethod.GAUSSIAN,
    iou_threshold: float = 0.5,
    sigma: float = 0.5,
    score_threshold: float = 0.001,
) -> np.ndarray:
    """Lower the scores of boxes that overlap a better one, and sort by what remains.

    Args:
        boxes: float32 (N, 5 or more), rows x1 y1 x2 y2 score; further columns stay where they are.
            Changed in place, as in the published code: afterwards the first K rows are the
            survivors, best first, and the rest are leftovers that only the published evaluation
            reads.
        method: How scores fall.
        iou_threshold: Overlap above which hard and linear suppression act.
        sigma: Width of the Gaussian.
        score_threshold: An overlapping box whose score falls below this is discarded.

    Returns:
        The survivors, float32 (K, columns): a view of ``boxes``.

    Raises:
        ValueError: If ``boxes`` is not float32 (N, 5 or more) or ``method`` is unknown.
    """
    _check_boxes(boxes, 5)
    method = NmsMethod(method)
    if len(boxes) < 2:  # the usual case in a stream
        return boxes
    overlaps, touching = _overlap_matrix(boxes)
    decay = _decay(overlaps, touching, method, iou_threshold, sigma)
    return _suppress(boxes, decay, touching, score_threshold)


def soft_nms_merge(  # noqa: PLR0913 - the published function's parameters
    boxes: np.ndarray,
    method: NmsMethod | int = NmsMethod.GAUSSIAN,
    iou_threshold: float = 0.5,
    sigma: float = 0.5,
    score_threshold: float = 0.001,
    *,
    weight_exponent: float = 10.0,
) -> np.ndarray:
    """Suppress as ``soft_nms`` does, and move each box towards the ones it suppressed.

    Used by the published multi-scale test. The corner scores in columns 5 and 6 are not moved with
    their boxes, so they may belong to another box: kept, because the published figures have it.

    Args:
        boxes: float32 (N, 7), rows x1 y1 x2 y2 score top-left-score bottom-right-score; changed in
            place as in ``soft_nms``. Corner scores must be positive.
        method: How scores fall.
        iou_threshold: Overlap above which hard and linear suppression act.
        sigma: Width of the Gaussian.
        score_threshold: An overlapping box whose score falls below this is discarded.
        weight_exponent: A suppressed box pulls with (1 - decay) to this power.

    Returns:
        The survivors, float32 (K, 7): a view of ``boxes``.

    Raises:
        ValueError: If ``boxes`` is not float32 (N, 7 or more) or ``method`` is unknown.
    """
    _check_boxes(boxes, 7)
    overlaps, touching = _overlap_matrix(boxes)
    decay = _decay(overlaps, touching, NmsMethod(method), iou_threshold, sigma)
    pull = np.power((1 - decay).astype(np.float64), weight_exponent).astype(np.float32)
    return _suppress(boxes, decay, touching, score_threshold, pull)


def hard_nms(boxes: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Keep each box that overlaps no better kept box by ``iou_threshold`` or more.

    Args:
        boxes: float32 (N, 5 or more), rows x1 y1 x2 y2 score; not modified.
        iou_threshold: Overlap at and above which the worse box goes.

    Returns:
        int64 (K,), indices of the kept boxes, best first.

    Raises:
        ValueError: If ``boxes`` is not float32 (N, 5 or more).
    """
    _check_boxes(boxes, 5)
    overlaps, _ = _overlap_matrix(boxes)
    order = np.argsort(-boxes[:, 4], kind="stable")
    kept = []
    while len(order):
        kept.append(order[0])
        order = order[1:][overlaps[order[0], order[1:]] < iou_threshold]
    return np.array(kept, np.int64)


def _check_boxes(boxes: np.ndarray, columns: int) -> None:
    if boxes.dtype != np.float32 or boxes.ndim != 2 or boxes.shape[1] < columns:
        raise ValueError(
            f"boxes are {boxes.dtype} {boxes.shape}; expected float32 (N, {columns} or more); "
            "convert them first"
        )


def _overlap_matrix(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair's intersection over union (N, N), and whether the pair meets at all."""
    x1, y1, x2, y2 = boxes[:, :4].T
    area = _extent(x1, x2) * _extent(y1, y2)
    width = _extent(np.maximum(x1[:, None], x1), np.minimum(x2[:, None], x2)).astype(np.float32)
    height = _extent(np.maximum(y1[:, None], y1), np.minimum(y2[:, None], y2)).astype(np.float32)
    touching = (width > 0) & (height > 0)
    shared = width * height
    union = (area[:, None] + area.astype(np.float32) - shared).astype(np.float32)
    overlaps = np.zeros_like(shared)
    np.divide(shared, union, out=overlaps, where=touching)
    return overlaps, touching


def _extent(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return ``high - low + 1`` as the compiled code does: the sum, not the difference, in double.

    The last digit of every published score depends on this.
    """
    extent: np.ndarray = (high - low).astype(np.float64) + 1.0
    return extent


def _decay(
    overlaps: np.ndarray,
    touching: np.ndarray,
    method: NmsMethod,
    iou_threshold: float,
    sigma: float,
) -> np.ndarray:
    """Return the factor (N, N), float32, by which box i lowers the score of box j."""
    one = np.float32(1)
    if method is NmsMethod.NONE:
        return np.ones_like(overlaps)
    if method is NmsMethod.GAUSSIAN:
        # The published code takes the exponential in double precision.
        exponent = -(overlaps * overlaps) / np.float32(sigma)
        exponential = np.exp(exponent.astype(np.float64)).astype(np.float32)
        return np.asarray(np.where(touching, exponential, one))
    fallen = one - overlaps if method is NmsMethod.LINEAR else np.zeros_like(overlaps)
    return np.asarray(np.where(overlaps > np.float32(iou_threshold), fallen, one))


def _suppress(
    boxes: np.ndarray,
    decay: np.ndarray,
    touching: np.ndarray,
    score_threshold: float,
    pull: np.ndarray | None = None,
) -> np.ndarray:
    """Run the published loop in place; with ``pull`` also merge. Returns the live rows."""
    given = boxes.copy()
    order = np.arange(len(boxes))  # which of the given boxes lies in each row
    scores = boxes[:, 4].copy()
    threshold = np.float32(score_threshold)
    live = len(boxes)
    merged = np.zeros((len(boxes), 4), np.float32)
    for row in range(len(boxes)):
        if row < live:
            best = row + int(scores[row:live].argmax())
            order[row], order[best] = order[best], order[row]
            scores[row], scores[best] = scores[best], scores[row]
        first, rest = row + 1, order[row + 1 : live]
        fallen = scores[first:live] * decay[order[row], rest]
        met, rows = rest, np.arange(first, live)
        low = fallen < threshold
        if low.any():
            discard = low & touching[order[row], rest]
            rows, picks, live = _visit(first, live, discard.tolist())
            met, fallen = rest[picks], fallen[picks]
            order[rows] = met  # a row met twice keeps its last box
        scores[rows] = fallen
        if pull is not None:
            weights = pull[order[row], met]
            merged[row] = _merge(given, [row, *rows], [order[row], *met], [1, *weights])
    boxes[:, :4] = given[order, :4] if pull is None else merged
    boxes[:, 4] = scores
    return boxes[:live]


def _visit(first: int, live: int, discard: list[bool]) -> tuple[np.ndarray, list[int], int]:
    """Replay the order in which the published loop meets boxes while it discards some.

    Args:
        first: The first row met.
        live: Number of live rows at the start.
        discard: For rows ``first`` to ``live``, whether the box in it goes.

    Returns:
        The row of each visit; the box met there, as an index into ``discard``; and the number of
        rows live at the end. A row is met again after the last live box was moved into it.
    """
    rows, boxes = [], []
    row, box = first, first
    while row < live:
        rows.append(row)
        boxes.append(box - first)
        if discard[box - first]:
            live -= 1
            box = live
        else:
            row += 1
            box = row
    return np.array(rows, np.intp), boxes, live


def _merge(
    given: np.ndarray, rows: list[int], boxes: list[np.intp], weights: list[float]
) -> np.ndarray:
    """Average boxes, weighted by the corner scores that lie in ``rows``; float32 (4,)."""
    scores = given[rows, 5:7]
    weight = np.array(weights, np.float32)[:, None]
    totals = np.add.accumulate(scores * weight)[-1]  # accumulate: summed in order, as a loop does
    corners = given[boxes, :4] * scores[:, [0, 0, 1, 1]] * weight
    averaged: np.ndarray = np.add.accumulate(corners)[-1] / totals[[0, 0, 1, 1]]
    return averaged
