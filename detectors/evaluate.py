r"""COCO average precision of anything that predicts, and of detections that lie in a file.

python -m detectors.evaluate --data build/shapes/val --artifact build/model.onnx
python -m detectors.evaluate --data build/shapes/val --model cornernet-nano --weights F
python -m detectors.evaluate --data instances_val2017.json --images val2017 \
  --model cornernet-hourglass104 --weights CornerNet_500000.pkl --protocol published --flip
python -m detectors.evaluate --data build/shapes/val --results detections.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from detectors.average_precision import AveragePrecision, coco_rows, score_rows
from detectors.coco_results import read_results, write_results
from detectors.dataset import CocoSet, read_coco
from detectors.evaluation_model import open_model
from detectors.evaluation_options import (
    EVALUATION_OPTIONS,
    check_options,
    option_parser,
    options_record,
)
from detectors.evaluation_report import Evaluation, Timing, record, table
from detectors.examples import Example, ExampleTable, load_image
from detectors.predict import LetterboxPredictor, Predictor
from detectors.saccade_predict import SaccadePredictor
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser
from runtime.detections import Detections
from runtime.errors import DatasetError, run_command

# The first two are defined elsewhere; callers of ``evaluate`` need them with it.
__all__ = ["EVALUATION_OPTIONS", "AveragePrecision", "build_parser", "evaluate", "main"]

Rows = list[dict[str, Any]]
BatchPredictor = Callable[[Sequence[np.ndarray]], list[Detections]]


def evaluate(coco: CocoSet, predict: Predictor, limit: int | None = None) -> AveragePrecision:
    """Predict every image of a set and compare with its annotations.

    Args:
        coco: The annotated images.
        predict: Finds objects on one image; its class ids are those of ``coco``.
        limit: Use the first so many images only.

    Raises:
        SourceError: If an image cannot be read: figures over fewer images could not be compared.
    """
    examples = coco.examples[:limit]
    rows, _ = collect_rows(coco, examples, lambda images: [predict(image) for image in images])
    return score_rows(coco, rows, examples).precision


def collect_rows(
    coco: CocoSet, examples: ExampleTable, predict: BatchPredictor, batch: int = 1
) -> tuple[Rows, Timing]:
    """Predict images, with a progress bar where somebody watches.

    Args:
        coco: The set of the images.
        examples: The images.
        predict: Finds objects on up to ``batch`` images.
        batch: Images given at once.

    Returns:
        The detections in COCO's result format, and the time it took, less the network's share.
    """
    rows: Rows = []
    reading_s = predicting_s = 0.0
    started = time.perf_counter()
    bar = tqdm(total=len(examples), unit="image", disable=not sys.stderr.isatty(), leave=False)
    with bar:
        for chosen in _batches(examples, batch):
            before = time.perf_counter()
            images = [load_image(example) for example in chosen]
            loaded = time.perf_counter()
            found = predict(images)
            reading_s += loaded - before
            predicting_s += time.perf_counter() - loaded
            for example, detections in zip(chosen, found, strict=True):
                rows += coco_rows(example, detections, coco.category_ids)
            bar.update(len(chosen))
    seconds, per_image = time.perf_counter() - started, 1e3 / max(1, len(examples))
    timing = Timing(seconds, reading_s * per_image, None, predicting_s * per_image)
    return rows, timing


def _batches(examples: ExampleTable, batch: int) -> Iterator[list[Example]]:
    """Yield the examples in groups; the last may be smaller."""
    for first in range(0, len(examples), batch):
        yield list(examples[first : first + batch])


def build_parser() -> CommandParser:
    """Return the command's parser."""
    return option_parser(__doc__)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    """Evaluate what the options name."""
    check_options(options)
    coco = read_coco(options.data, options.images)
    for line in coco.report.details() if coco.report.problems else ():
        print(f"note: {options.data}: {line}", file=sys.stderr)
    examples = coco.examples[: options.limit]
    label, rows, timing = _given(options, coco, examples) or _predicted(options, coco, examples)
    result = Evaluation(label, score_rows(coco, rows, examples), timing)
    print(table(result, options.per_class))
    if options.json:
        body = record(result, coco, options_record(options))
        write_text(options.json, json.dumps(body, indent=1) + "\n")
    return 0


def _given(
    options: argparse.Namespace, coco: CocoSet, examples: ExampleTable
) -> tuple[str, Rows, Timing] | None:
    """Return the detections of ``--results``; None without that option."""
    if options.results is None:
        return None
    return options.results.name, read_results(options.results, coco, examples), Timing()


def _predicted(
    options: argparse.Namespace, coco: CocoSet, examples: ExampleTable
) -> tuple[str, Rows, Timing]:
    """Open a model and run it on the examples."""
    model = open_model(options)
    if isinstance(model.predict, LetterboxPredictor | SaccadePredictor):
        kept = model.predict.options  # with defaults of the model's own, for the record
        options.sigma, options.nms = kept.sigma, kept.suppression.name.lower()
    if model.class_names != coco.class_names:
        raise DatasetError(
            f"{options.data} has classes {', '.join(coco.class_names)}; {model.label} finds "
            f"{', '.join(model.class_names)}; evaluate on a set with the same classes"
        )
    before = model.runner.seconds if model.runner else 0.0
    rows, timing = collect_rows(coco, examples, model.predict.predict_batch, options.batch)
    if model.runner:
        network_ms = (model.runner.seconds - before) * 1e3 / len(examples)
        timing = replace(timing, network_ms=network_ms, other_ms=timing.other_ms - network_ms)
    if options.save_results:
        write_results(options.save_results, rows)
    return model.label, rows, timing


if __name__ == "__main__":
    sys.exit(main())
