"""The command line of ``python -m calibration.calibrate``, and what it asks for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from calibration.effort import Effort
from calibration.gate_options import GateOptions, add_gate_options
from calibration.int8_region import Target
from calibration.observation import UNCACHED, ObservationOptions
from calibration.observers import Provider
from calibration.quantize_rules import EVERYWHERE, Placement, compile_exclude
from calibration.range_cache import SUFFIX, default_cache_path
from calibration.ranges import PERCENTILE, RangeMethod
from calibration.samples import SampleChoice
from calibration.weights import DEFAULT_WEIGHTS, Granularity, WeightMethod, WeightOptions
from runtime.command_line import CommandParser, check_output, positive, seed
from runtime.errors import UsageError

# Ranges settle within a few hundred images; more only cost time.
DEFAULT_MAX_IMAGES = 256


@dataclass(frozen=True)
class CalibrationOptions:
    """How to quantize.

    Attributes:
        method: How clipping thresholds of activations are chosen.
        weights: How weights are rounded.
        base: Type of everything that is not INT8: "fp32" or "fp16" (for GPUs).
        placement: Which convolutions may run in INT8.
        percentile: What the percentile method keeps, above 0 and up to 100.
        observation: Where ranges are observed, and the file that keeps them.
        gate: What accuracy must be kept; None asks for none.
        effort: How much is done beyond ranges and rounding; the commands ask for "good".
    """

    method: RangeMethod = RangeMethod.MSE
    weights: WeightOptions = DEFAULT_WEIGHTS
    base: str = "fp32"
    placement: Placement = EVERYWHERE
    percentile: float = PERCENTILE
    observation: ObservationOptions = UNCACHED
    gate: GateOptions | None = None
    effort: Effort = Effort.FAST


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.calibrate``."""
    parser = CommandParser(
        prog="python -m calibration.calibrate",
        description="Quantize an exported detector to INT8 with ranges observed on images.",
    )
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="the FP32 model from export")
    add("--images", required=True, help="folder, COCO folder, pattern or image")
    add("--out", type=Path, required=True, help="the INT8 .onnx file to write")
    add("--explain", action="store_true", help="print for every node why it is INT8 or not")
    add_range_options(parser)
    add_quantization_options(parser)
    add_gate_options(parser)
    return parser


def add_range_options(parser: CommandParser) -> None:
    """Add what concerns images and the ranges of activations."""
    add = parser.add_argument
    add("--max-images", type=positive, default=DEFAULT_MAX_IMAGES, metavar="N", help="use N")
    add("--seed", type=seed, metavar="S", help="draw the images; default: evenly by name")
    add("--balance", nargs="?", const="", metavar="COCO", help="show every class; default: IMAGES")
    add("--method", choices=[m.value for m in RangeMethod], help="default: mse; minmax for best")
    add("--percentile", type=_percentile, default=PERCENTILE, metavar="P", help="for its method")
    add("--provider", choices=[p.value for p in Provider], default=Provider.CPU.value)
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument("--cache", type=Path, metavar="F", help=f"default: OUT with {SUFFIX}")
    cache.add_argument("--no-cache", action="store_true", help="neither read nor keep ranges")


def add_quantization_options(parser: CommandParser) -> None:
    """Add what concerns weights, placement and the rest of the model."""
    add = parser.add_argument
    add("--effort", choices=[e.value for e in Effort], default=Effort.GOOD.value, help="to keep AP")
    add("--weights", choices=[g.value for g in Granularity], default="per-channel")
    add("--weight-method", choices=[m.value for m in WeightMethod], default="max")
    add("--base", choices=("fp32", "fp16"), default="fp32", help="the rest; fp16 is for GPUs")
    add("--exclude", metavar="REGEX", help="convolutions that stay float, by name")
    add("--target", choices=[t.value for t in Target], default="portable", help="what it is for")


def samples_from(arguments: argparse.Namespace) -> SampleChoice:
    """Return which images were asked for."""
    annotations = None
    if arguments.balance is not None:
        annotations = Path(arguments.balance or arguments.images)
    return SampleChoice(arguments.images, arguments.max_images, arguments.seed, annotations)


def options_from(arguments: argparse.Namespace) -> CalibrationOptions:
    """Turn parsed arguments into options.

    Raises:
        UsageError: If a value makes no sense.
    """
    target = Target(arguments.target)
    if target is Target.ONNXRUNTIME and arguments.base != "fp32":
        raise UsageError(
            f"--target onnxruntime got --base {arguments.base}, which only GPUs run; expected "
            "fp32; leave one of them out"
        )
    effort = Effort(arguments.effort)
    return CalibrationOptions(
        RangeMethod(arguments.method) if arguments.method else default_method(effort),
        WeightOptions(Granularity(arguments.weights), WeightMethod(arguments.weight_method)),
        arguments.base,
        Placement(compile_exclude(arguments.exclude), target=target),
        arguments.percentile,
        ObservationOptions(Provider(arguments.provider), _cache_path(arguments)),
        effort=effort,
    )


def default_method(effort: Effort) -> RangeMethod:
    """Return how thresholds are chosen where nobody says it.

    The best effort tunes them with the weights, and ends better where it begins without clipping.
    """
    return RangeMethod.MINMAX if effort is Effort.BEST else RangeMethod.MSE


def _cache_path(arguments: argparse.Namespace) -> Path | None:
    """Return the file that keeps ranges, None for none."""
    if arguments.no_cache:
        return None
    path: Path = arguments.cache or default_cache_path(arguments.out)
    check_output("--cache", path, ".npz")
    return path


def _percentile(text: str) -> float:
    try:
        percentile = float(text)
    except ValueError:
        percentile = 0.0
    if not 0.0 < percentile <= 100.0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number above 0, up to 100")
    return percentile
