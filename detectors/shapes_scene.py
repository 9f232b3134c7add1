"""Scenes of the Shapes dataset: where objects stand, and what remains visible of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np

from detectors.shapes_drawing import (
    CLASS_NAMES,
    Shape,
    cover_of,
    paint,
    random_background,
    random_shape,
)

MIN_VISIBLE_SIDE_PX = 8
# Exponent on the even draw of the logarithm of the size: below 1 favours large objects a little.
SIZE_SKEW = 0.75
PLACING_TRIES = 6


@dataclass(frozen=True)
class Crowding:
    """How much objects get in each other's way.

    Attributes:
        max_objects: Largest number of objects on an image.
        same_class_chance: How often a new object is one more of the class beside it, partly
            covering it.
        min_visible_share: Share of an object's area that must stay visible: of less, nobody
            could say where it ends.
    """

    max_objects: int
    same_class_chance: float
    min_visible_share: float


NORMAL = Crowding(max_objects=6, same_class_chance=0.4, min_visible_share=0.65)
CROWDED = Crowding(max_objects=9, same_class_chance=0.45, min_visible_share=0.5)


@dataclass(frozen=True)
class SceneSpec:
    """What scenes are drawn from.

    Attributes:
        image_hw: Height and width in pixels.
        min_size_px: Smallest longest side of an object.
        max_share: Longest side of the largest object, as a share of the shorter image side.
        crowding: How many objects there are, and how much of each is hidden.
    """

    image_hw: tuple[int, int]
    min_size_px: float = 12.0
    max_share: float = 0.9
    crowding: Crowding = NORMAL


@dataclass(frozen=True)
class Scene:
    """A background with objects on it, the last one in front."""

    background: np.ndarray
    shapes: tuple[Shape, ...]
    min_visible_share: float = NORMAL.min_visible_share


@dataclass(frozen=True)
class Truth:
    """What is visible: boxes of the visible parts, as COCO annotates.

    Attributes:
        boxes_xyxy: float32 (n, 4) in pixels.
        class_ids: int32 (n,).
        areas: float32 (n,), visible pixels.
    """

    boxes_xyxy: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray


def random_scene(rng: np.random.Generator, spec: SceneSpec) -> Scene:
    """Compose a scene; every object stays visible enough to be found."""
    crowding = spec.crowding
    ownership = _Ownership(spec.image_hw, crowding.min_visible_share)
    shapes: list[Shape] = []
    for _ in range(rng.integers(1, crowding.max_objects + 1)):
        beside = shapes and rng.uniform() < crowding.same_class_chance
        neighbour = shapes[-1] if beside else None
        for _ in range(PLACING_TRIES):
            shape = _beside(rng, neighbour) if neighbour else _anywhere(rng, spec)
            if ownership.try_add(shape):
                shapes.append(shape)
                break
    background = random_background(rng, spec.image_hw)
    return Scene(background, tuple(shapes), crowding.min_visible_share)


def render(scene: Scene) -> tuple[np.ndarray, Truth]:
    """Draw a scene.

    Returns:
        uint8 (H, W, 3) BGR picture, and what is visible on it. Objects that ended up too hidden,
        as happens when they move, are drawn but not listed.
    """
    image = scene.background.copy()
    ownership = _Ownership(image.shape[:2], scene.min_visible_share)
    for shape in scene.shapes:
        cover, origin = cover_of(shape, image.shape[:2])
        if cover.size:
            paint(image, shape, cover, origin)
        ownership.add(shape)
    return image, ownership.truth()


def add_camera_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return the picture slightly blurred, re-lit and noisy, as cameras deliver it."""
    if rng.uniform() < 0.3:
        image = cv2.GaussianBlur(image, (3, 3), float(rng.uniform(0.3, 0.9)))
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(noise, 0, float(rng.uniform(0, 8)))
    gain = float(rng.uniform(0.8, 1.2))
    return np.clip(image * gain + noise, 0, 255).astype(np.uint8)


def _anywhere(rng: np.random.Generator, spec: SceneSpec) -> Shape:
    """Return a random shape somewhere in the image, its size drawn on a logarithmic scale."""
    largest = spec.max_share * min(spec.image_hw)
    size = spec.min_size_px * (largest / spec.min_size_px) ** (rng.uniform() ** SIZE_SKEW)
    shape = random_shape(rng, int(rng.integers(len(CLASS_NAMES))), size)
    margin = 0.35 * size
    height, width = spec.image_hw
    center = (rng.uniform(margin, width - margin), rng.uniform(margin, height - margin))
    return dataclasses.replace(shape, center_xy=(float(center[0]), float(center[1])))


def _beside(rng: np.random.Generator, neighbour: Shape) -> Shape:
    """Return another shape of the neighbour's class that overlaps it."""
    size = max(12.0, neighbour.size_px * float(np.exp(rng.uniform(-0.35, 0.35))))
    distance = rng.uniform(0.35, 0.95) * (size + neighbour.size_px) / 2
    turn = rng.uniform(0, 2 * np.pi)
    x = neighbour.center_xy[0] + distance * np.cos(turn)
    y = neighbour.center_xy[1] + distance * np.sin(turn)
    shape = random_shape(rng, neighbour.class_id, size)
    return dataclasses.replace(shape, center_xy=(float(x), float(y)))


class _Ownership:
    """Which object each pixel shows, as objects are laid one over the other."""

    def __init__(self, image_hw: tuple[int, int], min_visible_share: float) -> None:
        self.min_visible_share = min_visible_share
        self.owner = np.full(image_hw, -1, np.int16)
        self.shapes: list[Shape] = []
        self.own_areas: list[float] = []

    def add(self, shape: Shape) -> None:
        """Lay ``shape`` over what is there."""
        cover, (top, left) = cover_of(shape, self.owner.shape)
        height, width = cover.shape
        self.owner[top : top + height, left : left + width][cover >= 128] = len(self.shapes)
        self.shapes.append(shape)
        self.own_areas.append(_full_area(shape))

    def try_add(self, shape: Shape) -> bool:
        """Lay ``shape`` over what is there unless something would become too hidden."""
        before = self.owner.copy()
        self.add(shape)
        if len(self.truth().class_ids) == len(self.shapes):
            return True
        self.owner = before
        self.shapes.pop()
        self.own_areas.pop()
        return False

    def truth(self) -> Truth:
        """Return boxes of the objects that are visible enough."""
        boxes, classes, areas = [], [], []
        for index, shape in enumerate(self.shapes):
            visible = (self.owner == index).view(np.uint8)
            area = int(cv2.countNonZero(visible))
            left, top, width, height = cv2.boundingRect(visible)
            if area < self.min_visible_share * self.own_areas[index]:
                continue
            if min(width, height) < MIN_VISIBLE_SIDE_PX:
                continue
            boxes.append((left, top, left + width, top + height))
            classes.append(shape.class_id)
            areas.append(area)
        return Truth(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(classes, np.int32),
            np.array(areas, np.float32),
        )


def _full_area(shape: Shape) -> float:
    """Return the shape's area in pixels as if nothing covered it and no border cut it."""
    reach = int(np.ceil(shape.size_px * 1.5)) + 4
    alone = dataclasses.replace(shape, center_xy=(reach / 2, reach / 2))
    cover, _ = cover_of(alone, (reach, reach))
    return float(cv2.countNonZero(cv2.inRange(cover, 128, 255)))
