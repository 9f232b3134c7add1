"""The pictures of the test pattern: shapes that move, and a number that can be read from them."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import cv2
import numpy as np

NUMBER_BITS = 24  # six days at 30 pictures per second; then it begins anew
CHECK_BITS = 8
BITS = NUMBER_BITS + CHECK_BITS
LEAST_WIDTH_PX = BITS
BLACK, WHITE = 16, 235  # within what video codecs keep
# A block that is neither clearly black nor white is no block.
DARK_BELOW, BRIGHT_ABOVE = 96, 160
SUBPIXEL_BITS = 4
ROUND = 300  # pictures until all shapes are back: ten seconds at 30 per second
SIZE = 0.28  # of a shape, as a share of the picture's shorter side
STROKES = 8
SEED = 1


@dataclass(frozen=True)
class _Mover:
    """A shape and what is its own: all go round the picture's middle, evenly apart.

    Attributes:
        contours: float64 (n, 2) each, x and y from -1 to 1; a second one is a hole.
        color_bgr: Its colour.
        spins: How often it turns about itself in one round.
    """

    contours: tuple[np.ndarray, ...]
    color_bgr: tuple[int, int, int]
    spins: int


class PatternPicture:
    """Draws the pictures of one size; what each shows depends on its number alone.

    Args:
        size_hw: Height and width in pixels; at least 1 and ``LEAST_WIDTH_PX``.
    """

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._background: np.ndarray = _background(size_hw)
        self._block_px = size_hw[1] // BITS

    def render(self, number: int) -> np.ndarray:
        """Return picture ``number``: uint8 (H, W, 3) BGR, a new array."""
        image: np.ndarray = self._background.copy()
        for index in range(len(_MOVERS)):
            _draw(image, index, number)
        bits = np.where(_bits_from(number), np.uint8(WHITE), np.uint8(BLACK))
        row = np.repeat(bits, self._block_px)
        image[: self._block_px, : row.size] = row[None, :, None]
        return image


def read_frame_number(image: np.ndarray) -> int | None:
    """Return the number that a picture of the test pattern carries.

    It survives JPEG and video codecs, and boxes drawn elsewhere, but not a change of size.

    Args:
        image: uint8 (H, W, 3) BGR.

    Returns:
        The number modulo 2^24; None if there is none, or it is damaged.
    """
    block = image.shape[1] // BITS
    if block < 1 or image.shape[0] < block:
        return None
    strip = image[:block, : block * BITS].mean(axis=2).reshape(block, BITS, block)
    edge = block // 4  # codecs blur the borders of blocks
    levels = strip[edge : block - edge, :, edge : block - edge].mean(axis=(0, 2))
    if ((levels > DARK_BELOW) & (levels < BRIGHT_ABOVE)).any():
        return None
    number = int.from_bytes(np.packbits(levels[:NUMBER_BITS] > DARK_BELOW).tobytes(), "big")
    intact = np.array_equal(levels > DARK_BELOW, _bits_from(number))
    return number if intact else None


def _bits_from(number: int) -> np.ndarray:
    """Return bool (BITS,): the number, and a check sum that no plain area has."""
    data = (number % (1 << NUMBER_BITS)).to_bytes(NUMBER_BITS // 8, "big")
    check = zlib.crc32(data) & ((1 << CHECK_BITS) - 1)
    return np.unpackbits(np.frombuffer(data + bytes([check]), np.uint8)).astype(bool)


def _background(size_hw: tuple[int, int]) -> np.ndarray:
    """Return uint8 (H, W, 3): soft light and strokes, as behind the shapes of a real scene."""
    height, width = size_hw
    rng = np.random.default_rng(SEED)
    picture = np.full((height, width, 3), 120.0, np.float32)
    for cells, strength in ((3, 25.0), (12, 12.0), (48, 6.0)):
        noise = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(STROKES):
        points = (rng.uniform(-0.1, 1.1, (3, 2)) * (width, height)).astype(np.int32)
        cv2.polylines(image, [points], False, rng.uniform(0, 255, 3).tolist(), 1, cv2.LINE_AA)
    return image


def _draw(image: np.ndarray, index: int, number: int) -> None:
    """Draw the mover of an index where it is on picture ``number``."""
    mover = _MOVERS[index]
    height, width = image.shape[:2]
    top = width // BITS  # below the number
    reach = SIZE * min(height, width) / 2
    turn = 2 * math.pi * (number % ROUND) / ROUND
    place = turn + 2 * math.pi * index / len(_MOVERS)
    center_xy = (
        width / 2 + (width / 2 - reach) * math.cos(place),
        (height + top) / 2 + ((height - top) / 2 - reach) * math.sin(place),
    )
    cosine, sine = math.cos(turn * mover.spins), math.sin(turn * mover.spins)
    rotation = np.array([[cosine, sine], [-sine, cosine]]) * reach
    contours = [
        np.round((contour @ rotation + center_xy) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        for contour in mover.contours
    ]
    cv2.fillPoly(image, contours, mover.color_bgr, cv2.LINE_AA, SUBPIXEL_BITS)


def _polygon(corners: int, inner: float = 1.0) -> np.ndarray:
    """Return a regular polygon of radius 1, or a star whose every second corner is at ``inner``."""
    turns = np.arange(corners) * 2 * np.pi / corners
    radii = np.where(np.arange(corners) % 2, inner, 1.0)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None]


def _cross(arm: float) -> np.ndarray:
    """Return a plus sign with arms of the given half width."""
    quarter = np.array([[arm, arm], [arm, 1.0], [-arm, 1.0]])
    turn = np.array([[0, 1], [-1, 0]])
    corners = [quarter]
    for _ in range(3):
        corners.append(corners[-1] @ turn)
    return np.concatenate(corners)


# The classes of the Shapes data set, so that the shipped network finds something.
_MOVERS = (
    _Mover((_polygon(48),), (60, 60, 210), 0),
    _Mover((_polygon(48), _polygon(48) * 0.55), (50, 190, 60), 0),
    _Mover((_polygon(4),), (210, 120, 40), 1),
    _Mover((_polygon(3),), (40, 200, 220), -1),
    _Mover((_polygon(10, inner=0.44),), (200, 60, 200), 1),
    _Mover((_cross(0.3),), (230, 230, 230), -2),
)
