"""The augmentation that CornerNet-Saccade is trained with: one object, brought to a useful size.

The image is scaled so that one of its objects gets a size that the network is to find, and cut to
the network's input somewhere around that object; then colour jitter and PCA lighting as in
``detectors.augment_published``. A flip moves boxes exactly as it moves pixels, without the
published shift by one.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, section 3.4; numbers as in the published
training code.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.augment_published import change_colours, crop_around
from runtime.attention import MEDIUM_PX, SMALL_PX

# The longer side that an object is brought to, in pixels: large, medium and small objects stay
# what they are. First and one after the last.
LARGE_SIDES_PX, MEDIUM_SIDES_PX, SMALL_SIDES_PX = (96, 255), (32, 97), (16, 33)
# Factors for images without objects.
EMPTY_SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# How far a centred object lies from the crop's middle, at most, in scaled pixels.
CENTRE_SHIFT_PX = 15


@dataclass(frozen=True)
class SaccadeAugment:
    """Scale, crop around an object, flip, and change colours.

    Attributes:
        network_hw: Height and width of the result, in pixels.
        flip_chance: How often left and right change places.
        jitter: How far brightness, contrast and saturation move from 1, at most.
        lighting: Standard deviation of the shifts along the principal components.
    """

    network_hw: tuple[int, int]
    flip_chance: float = 0.5
    jitter: float = 0.4
    lighting: float = 0.1

    def __call__(
        self, rng: np.random.Generator, image: np.ndarray, boxes_xyxy: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Change one image.

        Args:
            rng: Source of all choices.
            image: uint8 (H, W, 3) BGR; not modified.
            boxes_xyxy: float (n, 4) in pixels of ``image``, inside it; not modified.

        Returns:
            The uint8 image of ``network_hw``; its boxes float64 (m, 4), whole even where they
            leave the crop: ``SaccadeTargetSpec.build`` needs to know how much of them is shown;
            and the indices (m,) of the boxes that the crop shows at all.
        """
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        chosen = boxes[rng.integers(len(boxes))] if len(boxes) else None
        scale = _draw_scale(rng, chosen)
        height, width = (max(1, int(side * scale)) for side in image.shape[:2])
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        box = None if chosen is None else chosen * scale
        centre_xy = self._draw_centre(rng, box, (width, height))
        crop, shift_xy = crop_around(scaled, centre_xy, self.network_hw)
        moved = boxes * scale + np.tile(shift_xy, 2)
        if rng.uniform() < self.flip_chance:
            crop = cv2.flip(crop, 1)
            moved[:, [0, 2]] = self.network_hw[1] - moved[:, [2, 0]]
        kept = np.flatnonzero(_meets(moved, self.network_hw))
        return change_colours(rng, crop, self.jitter, self.lighting), moved[kept], kept

    def _draw_centre(
        self, rng: np.random.Generator, box: np.ndarray | None, image_wh: tuple[int, int]
    ) -> tuple[int, int]:
        """Draw the crop's middle: near the box's, or anywhere that shows all of the box."""
        near = rng.uniform() < 0.5
        x, y = (
            _draw_middle(rng, None if box is None else box[axis::2], sizes, near)
            for axis, sizes in enumerate(zip(image_wh, self.network_hw[::-1], strict=True))
        )
        return x, y


def _draw_scale(rng: np.random.Generator, box: np.ndarray | None) -> float:
    """Draw the factor that brings a box to a size of its own kind."""
    if box is None:
        return float(rng.choice(EMPTY_SCALES))
    longer = max(1.0, float((box[2:] - box[:2]).max()))
    if longer > MEDIUM_PX:
        sides = LARGE_SIDES_PX
    else:
        sides = MEDIUM_SIDES_PX if longer > SMALL_PX else SMALL_SIDES_PX
    return float(rng.integers(*sides)) / longer


def _draw_middle(
    rng: np.random.Generator, edges: np.ndarray | None, sizes: tuple[int, int], near: bool
) -> int:
    """Draw the crop's middle along one axis.

    Args:
        rng: Source of the choice.
        edges: Where the chosen box begins and ends; None without one.
        sizes: Lengths of the scaled image and of the crop, in pixels.
        near: Whether the middles of box and crop are to lie close together.
    """
    image_px, crop_px = sizes
    if image_px <= crop_px:
        return image_px // 2
    if edges is None:
        return int(rng.integers(0, image_px - crop_px + 1)) + crop_px // 2
    if near:
        middle = int(edges.mean())
        low, high = middle - rng.integers(CENTRE_SHIFT_PX), middle + rng.integers(CENTRE_SHIFT_PX)
        return int(rng.integers(max(low, 0), min(high, image_px - 1) + 1))
    first = int(max(edges[1] - crop_px, 0))
    last = int(min(image_px - crop_px, edges[0]))
    return int(rng.integers(first, max(first, last) + 1)) + crop_px // 2


def _meets(boxes_xyxy: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Say of each box whether any of it lies on a crop of this size."""
    height, width = size_hw
    visible = np.clip(boxes_xyxy, 0, [width, height, width, height])
    shown: np.ndarray = (visible[:, 2:] > visible[:, :2]).all(axis=1)
    return shown
