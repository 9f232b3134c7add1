"""A video of moving shapes with its truth: the demo's camera."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detectors.shapes_drawing import Shape
from detectors.shapes_scene import Scene, SceneSpec, Truth, random_scene, render
from runtime.atomic_file import replace_when_done, write_text
from runtime.errors import DatasetError

# A shape crosses the picture in about this many seconds.
CROSSING_S = 6.0


@dataclass(frozen=True)
class ClipSpec:
    """What the clip shows.

    Attributes:
        seed: Same seed, same clip.
        seconds: Length.
        fps: Frames per second.
        image_hw: Height and width in pixels.
        scene_s: Seconds after which another scene is cut in.
    """

    seed: int = 3
    seconds: float = 10.0
    fps: int = 30
    image_hw: tuple[int, int] = (480, 640)
    scene_s: float = 2.5


@dataclass(frozen=True)
class _Motion:
    """How one shape moves: pixels per second, radians per second, and a slow pulse in size."""

    velocity_xy: tuple[float, float]
    spin: float
    pulse: float

    def at(self, shape: Shape, seconds: float, image_hw: tuple[int, int]) -> Shape:
        """Return the shape after ``seconds``; it bounces off the borders."""
        extent = (image_hw[1], image_hw[0])
        pairs = zip(shape.center_xy, self.velocity_xy, extent, strict=True)
        x, y = (_bounce(start + speed * seconds, limit) for start, speed, limit in pairs)
        return dataclasses.replace(
            shape,
            center_xy=(x, y),
            angle=shape.angle + self.spin * seconds,
            size_px=shape.size_px * (1 + 0.2 * float(np.sin(self.pulse * seconds))),
        )


def clip_frames(spec: ClipSpec) -> Iterator[tuple[np.ndarray, Truth]]:
    """Yield uint8 (H, W, 3) BGR frames with what is visible on each."""
    per_scene = max(1, round(spec.scene_s * spec.fps))
    scene, motions = _start_scene(spec, 0)
    for index in range(round(spec.seconds * spec.fps)):
        if index and index % per_scene == 0:
            scene, motions = _start_scene(spec, index // per_scene)
        seconds = (index % per_scene) / spec.fps
        moved = tuple(
            motion.at(shape, seconds, spec.image_hw)
            for shape, motion in zip(scene.shapes, motions, strict=True)
        )
        yield render(dataclasses.replace(scene, shapes=moved))


def write_clip(path: Path, spec: ClipSpec) -> Path:
    """Write the clip as MP4 and its truth beside it.

    Returns:
        The path of the truth: JSON lines with ``boxes_xyxy`` and ``class_ids`` of every frame.

    Raises:
        DatasetError: If this OpenCV cannot write MP4 there.
    """
    lines = []
    with replace_when_done(path) as partial:
        size_wh = (spec.image_hw[1], spec.image_hw[0])
        writer = cv2.VideoWriter(
            str(partial), cv2.VideoWriter.fourcc(*"mp4v"), float(spec.fps), size_wh
        )
        if not writer.isOpened():
            raise DatasetError(f"cannot write {path}; expected an OpenCV that can encode MP4")
        for image, truth in clip_frames(spec):
            writer.write(image)
            boxes, classes = truth.boxes_xyxy.tolist(), truth.class_ids.tolist()
            lines.append(json.dumps({"boxes_xyxy": boxes, "class_ids": classes}))
        writer.release()
    truth_path = path.with_suffix(".truth.jsonl")
    write_text(truth_path, "\n".join(lines) + "\n")
    return truth_path


def _start_scene(spec: ClipSpec, number: int) -> tuple[Scene, list[_Motion]]:
    """Compose scene ``number`` and how its shapes move."""
    rng = np.random.default_rng([spec.seed, number])
    # As large in the network's view as on the training images, whose longest side is 256.
    smallest = 12.0 * max(spec.image_hw) / 256 * 1.3
    scene = random_scene(rng, SceneSpec(spec.image_hw, smallest, 0.6))
    speed = max(spec.image_hw) / CROSSING_S
    motions = [
        _Motion(
            (float(rng.normal(0, speed / 2)), float(rng.normal(0, speed / 2))),
            float(rng.normal(0, 0.8)),
            float(rng.uniform(0.5, 2)),
        )
        for _ in scene.shapes
    ]
    return scene, motions


def _bounce(position: float, limit: float) -> float:
    """Fold a position into [0, limit] as if it were reflected at both ends."""
    folded = position % (2 * limit)
    return min(folded, 2 * limit - folded)
