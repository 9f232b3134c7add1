"""Coordinates between an image and the network's input.

Convention: a box edge is a continuous coordinate, with 0 at the left (top) border of the first
pixel and ``width`` (``height``) at the right (bottom) border of the last. Resizing by a factor
``s`` therefore multiplies edges by ``s``, without the half-pixel shift that pixel *centres* need:
the centre of pixel 0 is at 0.5, and lands at ``0.5 * s``, which is what ``cv2.resize`` computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.errors import UsageError


@dataclass(frozen=True)
class Letterbox:
    """An image scaled with its shape kept, centred on a canvas of the network's size.

    Attributes:
        image_hw: Height and width of the original image, in pixels.
        network_hw: Height and width of the canvas, in pixels.
        resized_hw: Height and width of the scaled image on the canvas, in pixels.
        offset_yx: Rows above and columns left of the scaled image.
    """

    image_hw: tuple[int, int]
    network_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    offset_yx: tuple[int, int]

    @classmethod
    def fit(cls, image_hw: tuple[int, int], network_hw: tuple[int, int]) -> Letterbox:
        """Place an image of ``image_hw`` as large as possible on a canvas of ``network_hw``.

        Raises:
            UsageError: If one of the four sizes is below 1.
        """
        if min(*image_hw, *network_hw) < 1:
            raise UsageError(
                f"letterbox got image {image_hw} and network size {network_hw} (height, width); "
                "expected sizes of at least 1 pixel; check the source's frames"
            )
        scale = min(network_hw[0] / image_hw[0], network_hw[1] / image_hw[1])
        height = max(1, min(network_hw[0], round(image_hw[0] * scale)))
        width = max(1, min(network_hw[1], round(image_hw[1] * scale)))
        offset = ((network_hw[0] - height) // 2, (network_hw[1] - width) // 2)
        return cls(image_hw, network_hw, (height, width), offset)

    @property
    def scale_yx(self) -> tuple[float, float]:
        """Network pixels per image pixel, vertically and horizontally (they differ by rounding)."""
        return self.resized_hw[0] / self.image_hw[0], self.resized_hw[1] / self.image_hw[1]

    def to_network(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (..., 4) from image pixels to network pixels; returns a new float64 array."""
        boxes: np.ndarray = np.asarray(boxes_xyxy, np.float64) * self._scale() + self._offset()
        return boxes

    def to_image(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (..., 4) from network pixels back to image pixels, clipped to the image.

        Returns:
            New float32 array of the same shape, every edge within [0, width] or [0, height].
        """
        boxes = (np.asarray(boxes_xyxy, np.float64) - self._offset()) / self._scale()
        height, width = self.image_hw
        clipped: np.ndarray = np.clip(boxes, 0.0, [width, height, width, height])
        return clipped.astype(np.float32)

    def _scale(self) -> np.ndarray:
        scale_y, scale_x = self.scale_yx
        return np.array([scale_x, scale_y, scale_x, scale_y])

    def _offset(self) -> np.ndarray:
        offset_y, offset_x = self.offset_yx
        return np.array([offset_x, offset_y, offset_x, offset_y], np.float64)
