"""The options of ``detectors.evaluate``: what is evaluated, and how each image is looked at."""

from __future__ import annotations

import argparse
import enum
from pathlib import Path
from typing import Any

from detectors.augmented_testing import PublishedTest
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output, positive
from runtime.errors import UsageError
from runtime.postprocess import PostprocessOptions
from runtime.published_protocol import PublishedSuppression
from runtime.suppression import NmsMethod

# Average precision needs the whole ranking: everything is kept down to the decoder's noise.
EVALUATION_OPTIONS = PostprocessOptions(score_threshold=0.01)

METHODS = {method.name.lower(): method for method in NmsMethod}
MERGE = "merge"


class Protocol(enum.Enum):
    """How an image is brought to the network."""

    LETTERBOX = "letterbox"  # on a canvas of fixed size, as in a stream
    PUBLISHED = "published"  # in its own size, padded, as in the papers


def option_parser(description: str | None = None) -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog="python -m detectors.evaluate",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="COCO-format folder, or its JSON file")
    add("--images", type=Path, help="folder of the images, if not images/ beside the JSON file")
    add("--limit", type=positive, help="evaluate the first so many images only")
    what = parser.add_argument_group("what to evaluate (one of three)")
    what.add_argument("--artifact", type=Path, help="ONNX file or engine with its contract")
    what.add_argument("--weights", type=Path, help="checkpoint of --model, ours or published")
    what.add_argument("--results", type=Path, help="detections in COCO's result format")
    what.add_argument("--model", default="cornernet-nano", help="name in the registry")
    _add_looking(parser)
    out = parser.add_argument_group("what comes out")
    out.add_argument("--per-class", action="store_true", help="also print a line for each class")
    out.add_argument("--json", type=Path, help="also write every figure there")
    out.add_argument("--save-results", type=Path, help="also write the detections there")
    return parser


def _add_looking(parser: CommandParser) -> None:
    """Add the options of how images are looked at."""
    how = parser.add_argument_group("how to look at an image")
    add = how.add_argument
    protocols = [protocol.value for protocol in Protocol]
    add("--protocol", choices=protocols, default=protocols[0], help="as in a stream, or as papers")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="network input of a checkpoint")
    add("--flip", action="store_true", help="look at the mirrored image too")
    add("--scales", type=float, nargs="+", default=[1.0], help="published: 0.5 0.75 1 1.25 1.5")
    add("--nms", choices=[*METHODS, MERGE], help="how overlapping boxes fall (default: by model)")
    add("--iou-threshold", type=float, default=0.5, help="for hard and linear suppression")
    add("--sigma", type=float, default=0.5, help="width of the Gaussian; saccade: 0.7")
    add("--score-threshold", type=float, help="lowest score (letterbox 0.01, published 0.001)")
    add("--batch", type=positive, default=1, help="images at once, for a checkpoint")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="where a checkpoint runs")


def check_options(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other, before any work.

    Raises:
        UsageError: If they do, or an output could not be written; names the option.
    """
    named = [name for name in ("artifact", "weights", "results") if getattr(options, name)]
    if len(named) != 1:
        raise UsageError(
            "expected exactly one of --artifact FILE, --weights FILE and --results FILE; got "
            + (" and ".join(f"--{name}" for name in named) or "none")
            + "; give one"
        )
    if options.results:
        reason = "the detections of --results are scored as they are"
        _refuse(options, [*_LOOKING, "save_results"], reason)
    if options.artifact:
        reason = "an artifact has a fixed input size and runs where it was built for"
        _refuse(options, ["protocol", "size", "batch", "device"], reason)
    if options.protocol == Protocol.PUBLISHED.value:
        _refuse(options, ["size", "batch"], "the published protocol takes images in their own size")
    else:
        reason = "it belongs to the published protocol; add --protocol published"
        if options.scales != option_parser().get_default("scales"):
            raise UsageError(f"got --scales; {reason}")
        if options.nms == MERGE:
            raise UsageError(f"got --nms {MERGE}; {reason}")
    for option in ("json", "save_results"):
        if path := getattr(options, option):
            check_output(_flag(option), path, ".json")


_LOOKING = (
    *("protocol", "size", "flip", "scales", "nms", "iou_threshold", "sigma", "score_threshold"),
    *("batch", "device"),
)


def _refuse(options: argparse.Namespace, names: list[str], reason: str) -> None:
    """Refuse options that were given where they mean nothing."""
    parser = option_parser()
    for name in names:
        if getattr(options, name) != parser.get_default(name):
            raise UsageError(f"got {_flag(name)}; {reason}; drop {_flag(name)}")


def _flag(name: str) -> str:
    """Return an option as the user types it."""
    return "--" + name.replace("_", "-")


def letterbox_options(options: argparse.Namespace) -> PostprocessOptions:
    """Return what to keep of the boxes on a letterboxed image.

    Raises:
        UsageError: If a value is out of range.
    """
    threshold = options.score_threshold
    return PostprocessOptions(
        score_threshold=EVALUATION_OPTIONS.score_threshold if threshold is None else threshold,
        method=METHODS.get(options.nms),
        iou_threshold=options.iou_threshold,
        sigma=options.sigma,
    )


def published_test(options: argparse.Namespace) -> PublishedTest:
    """Return how the published protocol looks at an image.

    Raises:
        UsageError: If a value is out of range.
    """
    threshold = options.score_threshold
    checked = PostprocessOptions(  # the same ranges hold
        score_threshold=PublishedSuppression.score_threshold if threshold is None else threshold,
        method=METHODS.get(options.nms),
        iou_threshold=options.iou_threshold,
        sigma=options.sigma,
    )
    suppression = PublishedSuppression(
        checked.suppression,
        checked.iou_threshold,
        checked.sigma,
        checked.score_threshold,
        merge=options.nms == MERGE,
    )
    return PublishedTest(tuple(options.scales), options.flip, suppression)


def options_record(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was evaluated and how, for the JSON: the file, its digest, the options."""
    source: Path = options.artifact or options.weights or options.results
    record: dict[str, Any] = {"file": source.as_posix(), "sha256": sha256_of(source)}
    if options.results:
        return record
    if options.weights:
        record["model"] = options.model
    record |= {name: getattr(options, name) for name in _LOOKING}
    record["nms"] = options.nms or PublishedSuppression.method.name.lower()
    if record["score_threshold"] is None:
        published = options.protocol == Protocol.PUBLISHED.value
        default = PublishedSuppression if published else EVALUATION_OPTIONS
        record["score_threshold"] = default.score_threshold
    return record
