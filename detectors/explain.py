"""Shows what a CornerNet sees on one image: heatmaps, corner pools, embeddings, boxes, failures.

    python -m detectors.explain photo.jpg --annotations annotations.json --out build/explain

Writes explain.png, a picture of each of its sections, and explain.json. docs/explain.md tells how
to read them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from detectors.checkpoints import load_checkpoint, read_class_names
from detectors.coco_names import COCO_NAMES
from detectors.dataset import read_coco
from detectors.explain_image import Detector, Explanation, Truth, explain_image
from detectors.explain_poster import write_pictures
from detectors.explain_record import record_of
from detectors.registry import SHIPPED_WEIGHTS, build_detector, check_size, find_spec
from runtime.atomic_file import write_text
from runtime.camera_files import read_image
from runtime.command_line import CommandParser, check_output, positive
from runtime.errors import DatasetError, UsageError, run_command

DPI = 100  # 1600 pixels wide: one image pixel of 256 is two on the sheet


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(prog="python -m detectors.explain", description=__doc__)
    parser.add_argument("image", type=Path, help="any image file")
    parser.add_argument("--model", default="cornernet-nano", help="name in the registry")
    parser.add_argument("--weights", type=Path, help="checkpoint of --model; default: the shipped")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="network input")
    parser.add_argument(
        "--annotations", type=Path, metavar="JSON", help="COCO file that lists the image"
    )
    parser.add_argument("--score", type=float, default=0.3, help="lowest score; default 0.3")
    parser.add_argument("--out", type=Path, default=Path("build/explain"), help="folder")
    parser.add_argument("--dpi", type=positive, default=DPI, help="a sheet is 16 inches wide")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    """Explain the image that the options name."""
    check_output("--out", options.out / "explain.png")
    image = read_image(options.image)
    weights = options.weights or shipped_weights(options.model)
    detector = open_detector(options.model, weights, options.size)
    truth = None
    if options.annotations:
        truth = read_truth(options.annotations, options.image, detector.class_names)
    explanation = explain_image(image, detector, options.score, truth)
    height, width = detector.size_hw
    counts = count_failures(explanation)
    source = f"{options.model}, {weights.name}, input {width}x{height}"
    body = {"image": str(options.image), "model": options.model, "weights": str(weights)}
    write_text(
        options.out / "explain.json",
        json.dumps(body | record_of(explanation), indent=1, allow_nan=False) + "\n",
    )
    written = write_pictures(
        options.out, explanation, (options.image.name, f"{source}: {counts}"), options.dpi
    )
    print(f"{written[0]}: {counts}")
    return 0


def shipped_weights(model: str) -> Path:
    """Return the weights that come with the repository.

    Raises:
        UsageError: If there is no such model, or none were shipped for it.
    """
    find_spec(model)
    if model not in SHIPPED_WEIGHTS:
        raise UsageError(f"{model} has no shipped weights; expected some; name --weights FILE")
    return SHIPPED_WEIGHTS[model]


def open_detector(model: str, weights: Path, size: list[int] | None) -> Detector:
    """Build a network of the registry and load its weights.

    Args:
        model: Its name.
        weights: A checkpoint.
        size: Height and width of the input; None takes the model's default.

    Raises:
        UsageError: If there is no such model, or the size does not fit.
        CheckpointError: If the weights cannot be read or belong to another model.
    """
    spec = find_spec(model)
    size_hw = tuple(size) if size else spec.default_size_hw
    check_size(model, size_hw)
    class_names = read_class_names(weights) or COCO_NAMES
    network = build_detector(model, len(class_names))
    load_checkpoint(network, weights)
    return Detector(network.eval(), spec, size_hw, tuple(class_names))


def read_truth(annotations: Path, image: Path, class_names: tuple[str, ...]) -> Truth:
    """Return an image's objects, of the classes that the network knows.

    Args:
        annotations: A COCO file whose file names are relative to the image's folder.
        image: The image.
        class_names: The network's classes; objects of others are left out.

    Raises:
        DatasetError: If the file cannot be read or does not list the image.
    """
    coco = read_coco(annotations, image.parent)
    example = next((e for e in coco.examples if e.path.name == image.name), None)
    if example is None:
        raise DatasetError(
            f"{annotations} does not list {image.name}; expected its annotations; "
            "name the file that has them, or leave --annotations out"
        )
    ids = {name: class_id for class_id, name in enumerate(class_names)}
    own = np.array([ids.get(coco.class_names[c], -1) for c in example.class_ids], np.int64)
    return Truth(np.asarray(example.boxes_xyxy, np.float64)[own >= 0], own[own >= 0])


def count_failures(explanation: Explanation) -> str:
    """Return the number of boxes and of each kind of failure, in words."""
    failures = explanation.failures
    in_doubt = len({found.pair for found in failures.ambiguous})
    words = f"{len(explanation.shown)} boxes, {in_doubt} of them in doubt, "
    words += f"{len(failures.unpaired)} strong corners alone"
    if explanation.truth is not None:
        objects = len(explanation.truth.class_ids)
        words += f"; {len(failures.wrong)} boxes wrong, {len(failures.missed)} of {objects} "
        words += "objects missed"
    return words


if __name__ == "__main__":
    sys.exit(main())
