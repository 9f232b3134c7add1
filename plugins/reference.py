"""What the project's operators compute, in NumPy: the answer every other implementation matches."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Direction = Literal["top", "bottom", "left", "right"]


class Walk(NamedTuple):
    """The straight walk along which corner pooling gathers its maximum.

    Attributes:
        axis: Axis of an (N, C, H, W) array: 2 walks over rows, 3 over columns.
        from_end: True starts at the last row or column and walks towards the first.
    """

    axis: int
    from_end: bool


WALKS: dict[str, Walk] = {
    "top": Walk(2, True),
    "bottom": Walk(2, False),
    "left": Walk(3, True),
    "right": Walk(3, False),
}


def find_walk(direction: str) -> Walk:
    """Return the walk of a direction.

    Raises:
        ValueError: If ``direction`` is unknown; lists those that exist.
    """
    if direction not in WALKS:
        raise ValueError(
            f"corner_pool got direction {direction!r}; expected one of {', '.join(WALKS)}"
        )
    return WALKS[direction]


def corner_pool(features: np.ndarray, direction: Direction) -> np.ndarray:
    """Replace every cell by the largest value met on a straight walk to it from one border.

    The direction names the border that maxima travel towards: with ``"top"`` a cell takes the
    maximum of itself and all cells below it, so the walk starts at the bottom row. NaN counts as
    larger than every number.

    Args:
        features: Activations, shape (N, C, H, W), any float dtype or int8; not modified.
        direction: The border the maxima travel towards.

    Returns:
        New C-contiguous array with the shape and dtype of ``features``.

    Raises:
        ValueError: If ``features`` is not 4-D or ``direction`` is unknown; says got and expected.

    Example:
        >>> corner_pool(np.array([1.0, 3.0, 2.0]).reshape(1, 1, 3, 1), "top").ravel().tolist()
        [3.0, 3.0, 2.0]

    Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 3.5.
    """
    axis, from_end = find_walk(direction)
    if features.ndim != 4:
        raise ValueError(f"corner_pool got shape {features.shape}; expected (N, C, H, W)")
    walked = np.flip(features, axis) if from_end else features
    pooled = np.maximum.accumulate(walked, axis=axis)
    return np.ascontiguousarray(np.flip(pooled, axis) if from_end else pooled)
