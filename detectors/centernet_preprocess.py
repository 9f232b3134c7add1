"""The picture that published CenterNets are tested on: the whole image, warped to a fixed size.

The image's longer side fills the network's width, its centre lies on the network's centre, and
black surrounds it. Unlike ``runtime.geometry.Letterbox``, which resizes, the warp maps the *index*
of a pixel, not its area: enlarged twice, pixel 0 lands on pixel 0, not between 0 and 1.

Source: ``pre_process`` and ``get_affine_transform`` of xingyizhou/CenterNet, with ``fix_res``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from runtime.errors import UsageError


@dataclass(frozen=True)
class AffineView:
    """Where an image lies in the network's input.

    Attributes:
        image_hw: Height and width of the image, in pixels.
        network_hw: Height and width of the network's input, in pixels.

    Raises:
        UsageError: On creation, if one of the four sizes is below 1.
    """

    image_hw: tuple[int, int]
    network_hw: tuple[int, int]

    def __post_init__(self) -> None:
        """Check the sizes."""
        if min(*self.image_hw, *self.network_hw) < 1:
            raise UsageError(
                f"got image {self.image_hw} and network size {self.network_hw} (height, width); "
                "expected sizes of at least 1 pixel; check the image"
            )

    @property
    def scale(self) -> float:
        """Network pixels per image pixel."""
        return self.network_hw[1] / max(self.image_hw)

    @property
    def matrix(self) -> np.ndarray:
        """The map from image to network pixels, float64 (2, 3).

        It is solved from three points, as the original does, because its rounding decides how
        ``cv2.warpAffine`` rounds.
        """
        source, target = (_frame(size) for size in (self.image_hw, self.network_hw))
        source[1:] = source[0] - max(self.image_hw) * np.float32([[0, 0.5], [0.5, 0.5]])
        target[1:] = target[0] - self.network_hw[1] * np.float32([[0, 0.5], [0.5, 0.5]])
        return cv2.getAffineTransform(source, target)

    def to_image(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (..., 4) from network pixels to image pixels; not clipped, new float64."""
        middle = np.tile(_frame(self.network_hw)[0].astype(np.float64), 2)
        origin = np.tile(_frame(self.image_hw)[0].astype(np.float64), 2)
        return (np.asarray(boxes_xyxy, np.float64) - middle) / self.scale + origin


def warp_image(image: np.ndarray, network_hw: tuple[int, int]) -> tuple[np.ndarray, AffineView]:
    """Bring an image to the network's size.

    Args:
        image: uint8 (H, W, 3) BGR; not modified.
        network_hw: Height and width of the network's input, in pixels; 512, 512 as published.

    Returns:
        uint8 (network_hw, 3) BGR, and where the image lies in it.

    Raises:
        UsageError: If a size is below 1.
    """
    view = AffineView((image.shape[0], image.shape[1]), network_hw)
    height, width = network_hw
    return cv2.warpAffine(image, view.matrix, (width, height), flags=cv2.INTER_LINEAR), view


def _frame(size_hw: tuple[int, int]) -> np.ndarray:
    """Return three points (x, y), float32 (3, 2), the first of them the centre."""
    points = np.zeros((3, 2), np.float32)
    points[0] = size_hw[1] / 2, size_hw[0] / 2
    return points
