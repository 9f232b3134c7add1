"""Shapes: a procedural detection dataset, so that everything here can be tried without downloads.

Six classes on cluttered, textured backgrounds, partly hidden by each other and often crowded with
their own kind, from 12 pixels to most of the image. Image ``i`` of seed ``s`` depends on ``(s, i)``
alone: the same with every count, order or number of processes.

    python -m detectors.shapes --out build/shapes/val --images 500 --seed 2
    python -m detectors.shapes --clip build/demo/clip.mp4 --seed 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detectors.shapes_clip import ClipSpec, write_clip
from detectors.shapes_drawing import CLASS_NAMES
from detectors.shapes_scene import (
    CROWDED,
    NORMAL,
    Crowding,
    SceneSpec,
    Truth,
    add_camera_noise,
    random_scene,
    render,
)
from runtime import command_line
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser
from runtime.errors import DatasetError, UsageError, run_command

# Landscape, square and portrait, so that the letterbox is exercised; the longest side is nano's.
IMAGE_SIZES_HW = ((256, 256), (192, 256), (256, 192))
JPEG_QUALITY = 95
MAX_CLIP_S = 3600.0
ANNOTATIONS = "annotations.json"
IMAGES = "images"


@dataclass(frozen=True)
class ShapesSpec:
    """Which images to make.

    Attributes:
        images: How many.
        seed: Seed of the whole set.
        workers: Processes that draw side by side.
        crowding: How many objects, and how hidden.
        min_size_px: Smallest longest side of an object, before others cover it.
    """

    images: int
    seed: int
    workers: int = 1
    crowding: Crowding = NORMAL
    min_size_px: float = SceneSpec.min_size_px


def make_image(spec: ShapesSpec, index: int) -> tuple[np.ndarray, Truth]:
    """Return image ``index`` of a set: uint8 (H, W, 3) BGR, and what is on it."""
    rng = np.random.default_rng([spec.seed, index])
    image_hw = IMAGE_SIZES_HW[rng.integers(len(IMAGE_SIZES_HW))]
    scene = SceneSpec(image_hw, min_size_px=spec.min_size_px, crowding=spec.crowding)
    image, truth = render(random_scene(rng, scene))
    return add_camera_noise(rng, image), truth


def write_dataset(
    folder: Path, spec: ShapesSpec, report: Callable[[int], None] | None = None
) -> Path:
    """Write images and their COCO annotations.

    Args:
        folder: Receives ``images/`` and ``annotations.json``; the latter is written last, so a
            folder that has it is complete.
        spec: What to make.
        report: Called with the number of finished images.

    Returns:
        The path of the annotation file.

    Raises:
        DatasetError: If an image cannot be written.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    (folder / ANNOTATIONS).unlink(missing_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    write = partial(_write_image, folder / IMAGES, spec)
    # Not forked: a copy of a process in which OpenCV has started threads can wait for ever.
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        finished = map(write, range(spec.images))
        if spec.workers > 1:
            pool = stack.enter_context(ProcessPoolExecutor(spec.workers, mp_context=spawn))
            finished = pool.map(write, range(spec.images), chunksize=16)
        for record, truth in finished:
            images.append(record)
            annotations += _annotations(truth, record["id"], len(annotations) + 1)
            if report:
                report(len(images))
    write_text(folder / ANNOTATIONS, json.dumps(_coco(spec, images, annotations)))
    return folder / ANNOTATIONS


def _write_image(folder: Path, spec: ShapesSpec, index: int) -> tuple[dict[str, Any], Truth]:
    """Draw and store one image; returns its COCO record and truth."""
    cv2.setNumThreads(1)  # processes share the cores already
    image, truth = make_image(spec, index)
    name = f"{index:06d}.jpg"
    if not cv2.imwrite(str(folder / name), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise DatasetError(f"cannot write {folder / name}; expected a writable folder with space")
    height, width = image.shape[:2]
    return {"id": index + 1, "file_name": name, "height": height, "width": width}, truth


def _annotations(truth: Truth, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """Return COCO annotations: boxes as x, y, width, height; category ids from 1."""
    rows = zip(
        truth.boxes_xyxy.tolist(), truth.class_ids.tolist(), truth.areas.tolist(), strict=True
    )
    return [
        {
            "id": first_id + offset,
            "image_id": image_id,
            "category_id": class_id + 1,
            "bbox": [left, top, right - left, bottom - top],
            "area": area,
            "iscrowd": 0,
        }
        for offset, ((left, top, right, bottom), class_id, area) in enumerate(rows)
    ]


def _coco(spec: ShapesSpec, images: list[Any], annotations: list[Any]) -> dict[str, Any]:
    """Return the annotation file's content."""
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(CLASS_NAMES)]
    info = {"description": f"Shapes, seed {spec.seed}, {spec.images} images"}
    return {
        "info": info,
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog="python -m detectors.shapes", description="Make the Shapes dataset, or a moving clip."
    )
    parser.add_argument("--out", type=Path, help="folder for images/ and annotations.json")
    parser.add_argument("--images", type=int, default=500, help="number of images")
    parser.add_argument(
        "--crowded", action="store_true", help="up to 9 objects, half hidden (else 6, a third)"
    )
    parser.add_argument("--clip", type=Path, help="write a video with moving shapes instead")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    parser.add_argument("--seed", type=command_line.seed, default=1, help="same seed, same set")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    """Make what the options ask for."""
    if (options.out is None) == (options.clip is None):
        raise UsageError("expected exactly one of --out FOLDER and --clip FILE; give one")
    if options.clip is not None:
        if not 0 < options.seconds <= MAX_CLIP_S:
            raise UsageError(f"--seconds is {options.seconds:g}; expected 0 to {MAX_CLIP_S:g}")
        write_clip(options.clip, ClipSpec(seed=options.seed, seconds=options.seconds))
        print(f"{options.clip}: {options.seconds:g} s, seed {options.seed}")
        return 0
    if options.images < 1 or options.workers < 1:
        raise UsageError(f"got {options.images} images, {options.workers} workers; expected >= 1")
    report = _progress(options.images) if sys.stderr.isatty() else None
    crowding = CROWDED if options.crowded else NORMAL
    spec = ShapesSpec(options.images, options.seed, options.workers, crowding)
    print(f"{write_dataset(options.out, spec, report)}: {options.images} images")
    return 0


def _progress(total: int) -> Callable[[int], None]:
    """Return a callback that keeps one line on the terminal up to date."""

    def show(done: int) -> None:
        if done % 50 == 0 or done == total:
            end = "\n" if done == total else ""
            print(f"\rdrawing shapes {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
