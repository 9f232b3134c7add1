"""Random changes to a training image and its boxes, applied as one resampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# A box that a crop leaves less of than this is not a fair example any more.
MIN_KEPT_SHARE = 0.5
MIN_KEPT_SIDE_PX = 6.0


@dataclass(frozen=True)
class AugmentSpec:
    """How far images are changed.

    Attributes:
        network_hw: Height and width of the result, in pixels.
        zoom: Smallest and largest factor on the letterbox's scale.
        zoom_chance: How often the zoom differs from 1; otherwise pixels are not resampled twice.
        vertical_flip: Whether upside down is as likely as upright (true for Shapes, not COCO).
        light: Standard deviation of gain and of offset/255, per image; a third of it per channel.
    """

    network_hw: tuple[int, int]
    zoom: tuple[float, float] = (0.75, 1.5)
    zoom_chance: float = 0.25
    vertical_flip: bool = False
    light: float = 0.06


@dataclass(frozen=True)
class ZoomAugment:
    """The augmentation that small networks are trained with; see ``augment``.

    Attributes:
        spec: How far images are changed.
    """

    spec: AugmentSpec

    def __call__(
        self, rng: np.random.Generator, image: np.ndarray, boxes_xyxy: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return image, boxes and indices of the boxes that remained."""
        return augment(rng, image, boxes_xyxy, self.spec)


def augment(
    rng: np.random.Generator, image: np.ndarray, boxes_xyxy: np.ndarray, spec: AugmentSpec
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zoom, shift, flip and re-light one image.

    Args:
        rng: Source of all choices.
        image: uint8 (H, W, 3) BGR; not modified.
        boxes_xyxy: float (n, 4) in pixels of ``image``.
        spec: How far to go.

    Returns:
        The uint8 image of ``spec.network_hw``, its boxes float64 (m, 4), and the indices (m,) of
        the boxes that remained.
    """
    matrix = _choose_transform(rng, image.shape[:2], spec)
    height, width = spec.network_hw
    # The matrix maps edges; cv2 wants centres, which sit half a pixel inside.
    shift = matrix[:, :2] @ (0.5, 0.5) - 0.5
    centres = np.column_stack([matrix[:, :2], matrix[:, 2] + shift])
    warped = cv2.warpAffine(image, centres, (width, height), flags=cv2.INTER_LINEAR)
    moved = _move_boxes(boxes_xyxy, matrix)
    clipped = np.clip(moved, 0, [width, height, width, height])
    kept = _fairly_visible(moved, clipped)
    return _relight(rng, warped, spec.light), clipped[kept], kept


def _choose_transform(
    rng: np.random.Generator, image_hw: tuple[int, int], spec: AugmentSpec
) -> np.ndarray:
    """Return a (2, 3) matrix from image edges to network edges."""
    height, width = spec.network_hw
    fit = min(height / image_hw[0], width / image_hw[1])
    zoom = 1.0
    if rng.uniform() < spec.zoom_chance:
        zoom = float(np.exp(rng.uniform(*np.log(spec.zoom))))
    scale = fit * zoom
    slack = np.array([width - image_hw[1] * scale, height - image_hw[0] * scale])
    offset = slack * rng.uniform(0, 1, 2)
    if zoom == 1.0:
        offset = np.round(offset)  # whole pixels: nothing is blurred
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    if rng.uniform() < 0.5:
        matrix[0] = -matrix[0] + (0, 0, width)
    if spec.vertical_flip and rng.uniform() < 0.5:
        matrix[1] = -matrix[1] + (0, 0, height)
    return matrix


def _move_boxes(boxes_xyxy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map box edges; a flip swaps left and right, or top and bottom."""
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 2, 2)
    corners = boxes @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def _fairly_visible(moved: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    """Return indices of boxes that still show enough."""
    sides, whole = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
    share = sides.prod(1) / np.maximum(whole.prod(1), 1e-9)
    return np.flatnonzero((share >= MIN_KEPT_SHARE) & (sides.min(1) >= MIN_KEPT_SIDE_PX))


def _relight(rng: np.random.Generator, image: np.ndarray, light: float) -> np.ndarray:
    """Change gain and offset of the whole image and, less, of each channel."""
    gain = 1 + rng.normal(0, light) + rng.normal(0, light / 3, 3)
    offset = 255 * (rng.normal(0, light) + rng.normal(0, light / 3, 3))
    table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(256, 1, 3))
