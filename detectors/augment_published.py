"""The augmentation that the published CornerNets were trained with.

The paper names random horizontal flips, scaling, cropping and "color jittering, which includes
adjusting the brightness, saturation and contrast", and PCA lighting; sizes and order are those of
the released training code.

Two details are kept because published figures contain them. A crop is padded with black before
normalisation, as the published test protocol pads. A flip sends x to width - x - 1, although boxes
are edges: a flipped box lies one pixel further left than its pixels.

One detail differs: the published code hands floats to the network, here pixels become uint8 again,
as the network's own normalisation expects. Values are rounded to 1/255, and what colour changes
push below 0 or above 1 is cut off.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Smallest distance of a crop's centre from the image's edges; halved for images too small for it.
BORDER_PX = 128
# Weights of blue, green and red in the grey image (ITU-R BT.601, as cv2.COLOR_BGR2GRAY).
GREY_BGR = np.array([0.114, 0.587, 0.299])
# Principal components of ImageNet's colours, as fb.resnet.torch published them, in BGR order.
EIGENVALUES = np.array([0.2141788, 0.01817699, 0.00341571])
EIGENVECTORS_BGR = np.array(
    [
        [-0.58752847, -0.69563484, 0.41340352],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.56089297, 0.71832671, 0.41158938],
    ]
)


@dataclass(frozen=True)
class PublishedAugment:
    """Random crop and scale, flip, colour jitter and PCA lighting.

    Attributes:
        network_hw: Height and width of the result, in pixels.
        scales: Sides of the crop, in sides of the network's input; one is drawn.
        flip_chance: How often left and right change places.
        jitter: How far brightness, contrast and saturation move from 1, at most.
        lighting: Standard deviation of the shifts along the principal components.
    """

    network_hw: tuple[int, int]
    scales: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
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
            boxes_xyxy: float (n, 4) in pixels of ``image``; not modified.

        Returns:
            The uint8 image of ``network_hw``, its boxes float64 (m, 4) from 0 to the last pixel,
            and the indices (m,) of the boxes that remained.
        """
        height, width = self.network_hw
        scale = rng.choice(self.scales)
        crop_hw = int(height * scale), int(width * scale)
        center_xy = tuple(_draw_center(rng, side) for side in image.shape[1::-1])
        crop, shift_xy = crop_around(image, center_xy, crop_hw)
        resized = cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR)
        zoom_xy = np.array([width / crop_hw[1], height / crop_hw[0]])
        boxes = (np.asarray(boxes_xyxy, np.float64).reshape(-1, 2, 2) + shift_xy) * zoom_xy
        boxes = np.clip(boxes, 0, (width - 1, height - 1)).reshape(-1, 4)
        kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(1))
        boxes = boxes[kept]
        if rng.uniform() < self.flip_chance:
            resized = cv2.flip(resized, 1)
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]] - 1
        return change_colours(rng, resized, self.jitter, self.lighting), boxes, kept


def border_of(size_px: int) -> int:
    """Return how far from the edges of a side the centre of a crop stays.

    Args:
        size_px: Length of the image's side.

    Returns:
        128, halved as often as needed for a centre to exist.
    """
    border, divisor = BORDER_PX, 1
    while size_px - border <= border:
        divisor *= 2
        border = BORDER_PX // divisor
    return border


def _draw_center(rng: np.random.Generator, size_px: int) -> int:
    """Draw where the centre of a crop lies on one side of the image."""
    border = border_of(size_px)
    return int(rng.integers(border, size_px - border))


def crop_around(
    image: np.ndarray, center_xy: tuple[int, int], crop_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut out a window; what lies beyond the image is black.

    Pixel ``center_xy`` of the image becomes pixel (w // 2, h // 2) of the crop. As published, a
    window of odd side loses its last row or column to black.

    Args:
        image: uint8 (H, W, 3); not modified.
        center_xy: Column and row, on the image.
        crop_hw: Height and width of the window.

    Returns:
        A new uint8 (h, w, 3), and the x and y that the window adds to coordinates.
    """
    (height, width), (x, y) = crop_hw, center_xy
    top, bottom = max(y - height // 2, 0), min(y + height // 2, image.shape[0])
    left, right = max(x - width // 2, 0), min(x + width // 2, image.shape[1])
    shift = np.array([width // 2 - x, height // 2 - y])
    crop = np.zeros((height, width, 3), np.uint8)
    window = image[top:bottom, left:right]
    crop[top + shift[1] : bottom + shift[1], left + shift[0] : right + shift[0]] = window
    return crop, shift


def change_colours(
    rng: np.random.Generator, image: np.ndarray, jitter: float, lighting: float
) -> np.ndarray:
    """Jitter and light an image: together one matrix and one offset for all its pixels.

    Args:
        rng: Source of the choices.
        image: uint8 (H, W, 3) BGR; not modified.
        jitter: As in ``PublishedAugment``.
        lighting: As in ``PublishedAugment``.

    Returns:
        A new image, rounded and cut off to uint8.
    """
    matrix, offset = jitter_colours(rng, cv2.mean(image)[:3], jitter)
    shifts = EIGENVALUES * rng.normal(0, lighting, 3)
    offset = offset + 255 * (EIGENVECTORS_BGR @ shifts)
    return cv2.transform(image, np.column_stack([matrix, offset]).astype(np.float32))


def jitter_colours(
    rng: np.random.Generator, mean_bgr: tuple[float, ...], extent: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw brightness, contrast and saturation, and the order in which they apply.

    Brightness multiplies; contrast blends with the mean of the grey image, saturation with the
    grey image itself. Both are taken before the first change, as published. Every step is linear
    in the pixel: the three become one matrix.

    Args:
        rng: Source of the choices.
        mean_bgr: Mean of the image's channels, 0 to 255.
        extent: Factors lie in 1 - extent to 1 + extent.

    Returns:
        Matrix (3, 3) and offset (3,): a pixel p becomes matrix @ p + offset.
    """
    matrix, offset = np.eye(3), np.zeros(3)
    grey_mean = GREY_BGR @ mean_bgr
    for operation in rng.permutation(("brightness", "contrast", "saturation")):
        factor = 1 + rng.uniform(-extent, extent)
        matrix, offset = factor * matrix, factor * offset
        if operation == "contrast":
            offset = offset + (1 - factor) * grey_mean
        elif operation == "saturation":
            matrix = matrix + (1 - factor) * GREY_BGR[None, :]
    return matrix, offset
