"""Drawing of single shapes and backgrounds for the Shapes dataset; NumPy and OpenCV only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CLASS_NAMES = ("disc", "ring", "box", "triangle", "star", "cross")
FILLS = ("plain", "gradient", "stripes", "checks", "speckle")

# cv2 polygon coordinates carry this many fractional bits: 1/16 pixel.
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Shape:
    """One object, complete enough to be drawn again in another frame.

    Attributes:
        class_id: Index into ``CLASS_NAMES``.
        center_xy: Centre in pixels.
        size_px: Longest extent before rotation, in pixels.
        aspect: Height over width of the unrotated outline.
        angle: Rotation in radians.
        proportion: Free parameter in [0, 1] of the outline (hole, arm width, apex).
        fill: One of ``FILLS``.
        colors_bgr: Two colours, in [0, 255].
        frequency: Periods of stripes or checks over the object.
        outline: Whether a dark edge is drawn.
    """

    class_id: int
    center_xy: tuple[float, float]
    size_px: float
    aspect: float
    angle: float
    proportion: float
    fill: str
    colors_bgr: tuple[tuple[float, ...], tuple[float, ...]]
    frequency: float
    outline: bool


def random_shape(rng: np.random.Generator, class_id: int, size_px: float) -> Shape:
    """Draw a shape's look at random; its centre is (0, 0) until it is placed."""
    first = rng.uniform(0, 255, 3)
    # A second colour that is visibly another one: patterns must show.
    second = (first + rng.uniform(70, 180, 3) * rng.choice([-1, 1], 3)) % 256
    return Shape(
        class_id=class_id,
        center_xy=(0.0, 0.0),
        size_px=size_px,
        aspect=float(np.exp(rng.uniform(-0.35, 0.35))),
        angle=float(rng.uniform(0, 2 * np.pi)),
        proportion=float(rng.uniform()),
        fill=str(rng.choice(FILLS, p=[0.4, 0.25, 0.12, 0.08, 0.15])),
        colors_bgr=(tuple(first), tuple(second)),
        frequency=float(rng.uniform(2, 4)),
        outline=bool(rng.uniform() < 0.35),
    )


def outline_of(shape: Shape) -> list[np.ndarray]:
    """Return the shape's contours in image pixels, each float64 (n, 2) as x, y.

    A second contour is a hole.
    """
    contours = _UNIT_OUTLINES[CLASS_NAMES[shape.class_id]](shape.proportion)
    width, height = min(1.0, 1.0 / shape.aspect), min(1.0, shape.aspect)
    cosine, sine = np.cos(shape.angle), np.sin(shape.angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    scale = np.array([width, height]) * shape.size_px / 2
    return [(contour * scale) @ rotation + shape.center_xy for contour in contours]


def cover_of(shape: Shape, image_hw: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Rasterise a shape within an image.

    Returns:
        uint8 (h, w) coverage 0..255 with smooth edges, of the part that lies inside the image, and
        that part's top-left corner (y, x). The array is empty if nothing lies inside.
    """
    contours = outline_of(shape)
    points = np.concatenate(contours)
    low = np.maximum(np.floor(points.min(0)) - 2, 0).astype(int)
    high = np.minimum(np.ceil(points.max(0)) + 3, (image_hw[1], image_hw[0])).astype(int)
    width, height = np.maximum(high - low, 0)
    mask = np.zeros((height, width), np.uint8)
    if mask.size:
        # Outlines run along pixel borders, cv2 draws through pixel centres: half a pixel apart.
        fixed = [
            np.round((contour - low - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
            for contour in contours
        ]
        cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask, (int(low[1]), int(low[0]))


def paint(image: np.ndarray, shape: Shape, cover: np.ndarray, origin_yx: tuple[int, int]) -> None:
    """Blend a shape into ``image`` (uint8 (H, W, 3), changed in place) through its coverage."""
    height, width = cover.shape
    top, left = origin_yx
    texture = _texture(shape, (height, width), origin_yx)
    if shape.outline:
        thickness = max(1, round(shape.size_px / 40))
        inner = cv2.erode(cover, np.ones((3, 3), np.uint8), iterations=thickness)
        texture *= (0.35 + 0.65 * (inner.astype(np.float32) / 255.0))[..., None]
    alpha = cover.astype(np.float32)[..., None] / 255.0
    window = image[top : top + height, left : left + width]
    window[:] = np.clip(window * (1 - alpha) + texture * alpha, 0, 255).astype(np.uint8)


def random_background(rng: np.random.Generator, image_hw: tuple[int, int]) -> np.ndarray:
    """Return a textured, cluttered uint8 (H, W, 3) picture without any object of a class."""
    height, width = image_hw
    grey = rng.uniform(40, 210)
    picture = np.zeros((height, width, 3), np.float32) + grey + rng.uniform(-35, 35, 3)
    for cells, strength in ((3, 30), (12, rng.uniform(0, 25)), (48, rng.uniform(0, 18))):
        light = rng.normal(0, strength, (cells, cells, 1))
        noise = (light + rng.normal(0, 0.35 * strength, (cells, cells, 3))).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(picture, 0, 255).astype(np.uint8)
    _add_clutter(rng, image)
    return image


def _add_clutter(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draw strokes, arcs and ragged blobs: things with edges that belong to no class."""
    height, width = image.shape[:2]
    extent = np.array([width, height])
    for _ in range(rng.integers(4, 22)):
        color = rng.uniform(0, 255, 3).tolist()
        at = rng.uniform(0, 1, 2) * extent
        reach = rng.uniform(0.04, 0.4) * min(height, width)
        kind = rng.integers(3)
        thickness = int(rng.integers(1, max(2, min(height, width) // 60)))
        if kind == 0:  # a bent stroke
            steps = np.cumsum(rng.normal(0, reach / 3, (rng.integers(2, 6), 2)), 0)
            points = (at + steps).astype(np.int32)
            cv2.polylines(image, [points], False, color, thickness, cv2.LINE_AA)
        elif kind == 1:  # an arc, never closed
            start = float(rng.uniform(0, 360))
            axes = (rng.uniform(0.3, 1, 2) * reach + 1).astype(int).tolist()
            end = start + float(rng.uniform(30, 220))
            center = at.astype(int).tolist()
            cv2.ellipse(image, center, axes, start, 0, end - start, color, thickness, cv2.LINE_AA)
        else:  # a ragged blob
            turns = np.sort(rng.uniform(0, 2 * np.pi, 11))
            radii = rng.uniform(0.25, 1, 11) * reach / 2
            points = at + np.stack([np.cos(turns), np.sin(turns)], 1) * radii[:, None]
            cv2.fillPoly(image, [points.astype(np.int32)], color, cv2.LINE_AA)


def _texture(shape: Shape, size_hw: tuple[int, int], origin_yx: tuple[int, int]) -> np.ndarray:
    """Return float32 (h, w, 3): the fill, fixed to the object so that it moves along with it."""
    first, second = (np.array(color, np.float32) for color in shape.colors_bgr)
    if shape.fill == "plain":
        return np.broadcast_to(first, (*size_hw, 3)).copy()
    rows = np.arange(size_hw[0], dtype=np.float32)[:, None] + origin_yx[0] - shape.center_xy[1]
    columns = np.arange(size_hw[1], dtype=np.float32)[None] + origin_yx[1] - shape.center_xy[0]
    cosine, sine = np.cos(shape.angle), np.sin(shape.angle)
    along = (columns * cosine + rows * sine) / shape.size_px
    across = (rows * cosine - columns * sine) / shape.size_px
    mix = _pattern(shape, along.astype(np.float32), across.astype(np.float32))[..., None]
    return first * (1 - mix) + second * mix


def _pattern(shape: Shape, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the weight of the second colour, 0..1, at object coordinates in [-0.5, 0.5]."""
    turns = 2 * np.pi * shape.frequency
    if shape.fill == "gradient":
        return np.clip(along + 0.5, 0, 1)
    if shape.fill == "stripes":
        return (np.sin(along * turns) > 0).astype(np.float32)
    if shape.fill == "checks":
        return ((np.sin(along * turns) > 0) ^ (np.sin(across * turns) > 0)).astype(np.float32)
    # Speckle: a product of unrelated waves looks irregular and costs no stored noise.
    waves = np.sin(along * turns * 2.3 + 1) * np.sin(across * turns * 3.1) + np.sin(
        (along + across) * turns * 4.7
    )
    return np.clip(0.35 + 0.3 * waves, 0, 1)


def _ellipse(radius: float = 1.0) -> np.ndarray:
    """Return a circle of 64 corners, close enough to round at every size drawn."""
    turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([np.cos(turns), np.sin(turns)], 1) * radius


def _star(proportion: float) -> np.ndarray:
    """Return a five-pointed star whose inner radius grows with ``proportion``."""
    turns = np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2, 0.38 + 0.12 * proportion, 1.0)
    return np.stack([np.cos(turns), np.sin(turns)], 1) * radii[:, None]


def _cross(proportion: float) -> np.ndarray:
    """Return a plus sign whose arms widen with ``proportion``."""
    arm = 0.24 + 0.14 * proportion
    quarter = np.array([[arm, arm], [arm, 1.0], [-arm, 1.0]])
    turns = [np.array([[0, -1], [1, 0]])]
    corners = [quarter]
    for _ in range(3):
        corners.append(corners[-1] @ turns[0].T)
    return np.concatenate(corners)


def _triangle(proportion: float) -> np.ndarray:
    """Return a triangle whose apex moves sideways with ``proportion``."""
    return np.array([[-1.0, 0.8], [1.0, 0.8], [1.2 * proportion - 0.6, -0.9]])


_UNIT_OUTLINES = {
    "disc": lambda proportion: [_ellipse()],
    "ring": lambda proportion: [_ellipse(), _ellipse(0.45 + 0.2 * proportion)],
    "box": lambda proportion: [np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * 0.85],
    "triangle": lambda proportion: [_triangle(proportion)],
    "star": lambda proportion: [_star(proportion)],
    "cross": lambda proportion: [_cross(proportion)],
}
