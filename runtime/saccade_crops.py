"""Cutting crops out of an image, each scaled to the network's input.

Source: the published test code of CornerNet-Lite, arXiv:1904.08900, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Half a crop must hold at least one image pixel.
SMALLEST_CROP_PX = 2


@dataclass(frozen=True)
class CropSpan:
    """One axis of a crop, in whole pixels.

    Attributes:
        image: First image pixel and the one after the last.
        canvas: Where they go on the network's canvas; the rest stays black.
        offset: Image pixel at the canvas's first pixel; negative where the crop leaves the image.
    """

    image: tuple[int, int]
    canvas: tuple[int, int]
    offset: int

    @classmethod
    def place(cls, centre: int, scale: float, image_px: int, network_px: int) -> CropSpan:
        """Lay a crop around ``centre``, ``scale`` network pixels for each image pixel."""
        side = max(SMALLEST_CROP_PX, int(network_px / scale))
        half, zoom = side // 2, network_px / side
        first, end = max(0, centre - half), min(centre + half, image_px)
        middle = network_px // 2
        canvas = (middle - int((centre - first) * zoom), middle + int((end - centre) * zoom))
        return cls((first, end), canvas, centre - half)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the image is left, or less than a pixel of the canvas."""
        return self.image[0] >= self.image[1] or self.canvas[0] >= self.canvas[1]


def cut_crops(
    image: np.ndarray, places: np.ndarray, network_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut crops around places and scale them bilinearly, without smoothing, onto black canvases.

    The published code scales float64 pixels; so does this one if ``image`` holds such. With uint8
    pixels, which is what the network takes here, results are rounded: on the golden crops by 0.1
    grey levels on average and 0.76 at most.

    Args:
        image: (H, W, 3), uint8 or float; not modified.
        places: float (n, 3 or more), y, x, scale: middle in image pixels (truncated to whole
            ones) and network pixels per image pixel. Of the scale, as of the middle, the crop
            keeps whole pixels only.
        network_hw: Height and width of the canvases.

    Returns:
        The canvases (n, *network_hw, 3) of the image's dtype, and float32 (n, 2): row and column
        of the image at each canvas's first pixel. A crop that misses the image is black.
    """
    canvases = np.zeros((len(places), *network_hw, 3), image.dtype)
    offsets = np.zeros((len(places), 2), np.float32)
    # Double precision: rounding a scale to float32 may move a crop's border by a pixel.
    for index, (y, x, scale) in enumerate(places[:, :3].astype(np.float64).tolist()):
        rows = CropSpan.place(int(y), scale, image.shape[0], network_hw[0])
        columns = CropSpan.place(int(x), scale, image.shape[1], network_hw[1])
        offsets[index] = rows.offset, columns.offset
        if not rows.is_empty and not columns.is_empty:
            target = canvases[index, slice(*rows.canvas), slice(*columns.canvas)]
            part = image[slice(*rows.image), slice(*columns.image)]
            target[:] = cv2.resize(part, target.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return canvases, offsets
