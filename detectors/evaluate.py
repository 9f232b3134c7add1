"""COCO average precision of a checkpoint or of any artifact that a backend here can run.

python -m detectors.evaluate --data build/shapes/val --artifact build/model.onnx
python -m detectors.evaluate --data build/shapes/val --model cornernet-nano --weights F
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from detectors.checkpoints import load_checkpoint, read_class_names
from detectors.dataset import CocoSet, Example, read_coco
from detectors.predict import (
    EvaluationModel,
    Predictor,
    model_from_artifact,
    predictor_from_network,
)
from detectors.registry import build_detector, check_size, find_spec
from runtime.atomic_file import write_text
from runtime.camera_files import read_image
from runtime.command_line import CommandParser, positive
from runtime.detections import Detections
from runtime.errors import DatasetError, UsageError, run_command
from runtime.postprocess import PostprocessOptions

# Average precision needs the whole ranking: everything is kept down to the decoder's noise.
EVALUATION_OPTIONS = PostprocessOptions(score_threshold=0.01)


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures, each in [0, 1], or -1 where the set holds no such object.

    Attributes:
        ap: Mean over overlaps 0.50 to 0.95.
        ap50: At overlap 0.50.
        ap75: At overlap 0.75.
        ap_small: Objects below 32 x 32 pixels.
        ap_medium: Objects between.
        ap_large: Objects from 96 x 96 pixels.
        images: Images evaluated.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    images: int


def evaluate(coco: CocoSet, predict: Predictor, limit: int | None = None) -> AveragePrecision:
    """Predict every image of a set and compare with its annotations.

    Args:
        coco: The annotated images.
        predict: Finds objects on one image; its class ids are those of ``coco``.
        limit: Use the first so many images only.
    """
    examples = coco.examples[:limit]
    rows: list[dict[str, Any]] = []
    for example in tqdm(examples, unit="image", disable=not sys.stderr.isatty(), leave=False):
        found = predict(read_image(example.path))
        rows += coco_rows(example, found, coco.category_ids)
    return score_rows(coco, rows, examples)


def coco_rows(
    example: Example, found: Detections, category_ids: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return detections in COCO's result format: boxes as x, y, width, height."""
    boxes = found.boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    values = zip(boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
    return [
        {
            "image_id": example.image_id,
            "category_id": category_ids[class_id],
            "bbox": box,
            "score": score,
        }
        for box, score, class_id in values
    ]


def score_rows(
    coco: CocoSet, rows: list[dict[str, Any]], examples: Iterable[Example]
) -> AveragePrecision:
    """Score results against the annotations of ``examples`` with pycocotools."""
    image_ids = [example.image_id for example in examples]
    if not rows:
        return AveragePrecision(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, len(image_ids))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = COCO(str(coco.annotation_file))
        for entry in truth.dataset["annotations"]:  # both are required, many sets lack them
            entry.setdefault("iscrowd", 0)
            entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
        scoring = COCOeval(truth, truth.loadRes(rows), "bbox")
        scoring.params.imgIds = image_ids
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return AveragePrecision(*(round(float(s), 5) for s in scoring.stats[:6]), len(image_ids))


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(prog="python -m detectors.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="COCO-format folder")
    parser.add_argument("--artifact", type=Path, help="ONNX file or engine with its contract")
    parser.add_argument("--model", default="cornernet-nano", help="name in the registry")
    parser.add_argument("--weights", type=Path, help="checkpoint of --model")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="network input")
    parser.add_argument("--limit", type=positive, help="evaluate the first so many images only")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    """Evaluate what the options name."""
    if (options.artifact is None) == (options.weights is None):
        raise UsageError("expected exactly one of --artifact FILE and --weights FILE; give one")
    coco = read_coco(options.data)
    model = _model_from(options)
    if model.class_names != coco.class_names:
        raise DatasetError(
            f"{options.data} has classes {', '.join(coco.class_names)}; {model.label} finds "
            f"{', '.join(model.class_names)}; evaluate on a set with the same classes"
        )
    started = time.monotonic()
    result = evaluate(coco, model.predict, options.limit)
    seconds = time.monotonic() - started
    print(_table(model.label, result))
    if options.json:
        body = {"model": model.label, "seconds": round(seconds, 1), **asdict(result)}
        write_text(options.json, json.dumps(body, indent=1) + "\n")
    return 0


def _model_from(options: argparse.Namespace) -> EvaluationModel:
    """Open the artifact, or build the network and load its checkpoint."""
    if options.artifact is not None:
        return model_from_artifact(options.artifact, EVALUATION_OPTIONS)
    spec = find_spec(options.model)
    size_hw = tuple(options.size) if options.size else spec.default_size_hw
    check_size(options.model, size_hw)
    class_names = read_class_names(options.weights)
    if class_names is None:
        raise UsageError(
            f"{options.weights} does not name its classes; "
            "export it, and evaluate the artifact: make engine WEIGHTS=..."
        )
    network = build_detector(options.model, len(class_names))
    load_checkpoint(network, options.weights)
    predict = predictor_from_network(network, spec, size_hw, EVALUATION_OPTIONS)
    return EvaluationModel(predict, class_names, options.weights.name)


def _table(label: str, result: AveragePrecision) -> str:
    """Return the figures as two aligned lines."""
    columns = ("AP", "AP50", "AP75", "AP-S", "AP-M", "AP-L")
    values = list(asdict(result).values())[:6]
    head = "".join(f"{name:>8}" for name in columns)
    row = "".join(f"{value:8.3f}" for value in values)
    return f"{label}, {result.images} images\n{head}\n{row}"


if __name__ == "__main__":
    sys.exit(main())
