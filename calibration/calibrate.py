"""Quantize an exported detector to INT8 with ranges observed on images."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import onnx
import onnxruntime

from calibration.observers import Progress, observe
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE, Decision, Placement, compile_exclude
from calibration.ranges import RangeMethod
from calibration.weights import DEFAULT_WEIGHTS, Granularity, WeightMethod, WeightOptions
from export.onnx_graph import load_model, save_model
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output
from runtime.contract import ModelContract, ProvenanceStep, read_contract, write_contract
from runtime.errors import CalibrationError, UsageError, run_command
from runtime.image_batches import ImageBatches, find_images

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
    """

    method: RangeMethod = RangeMethod.MSE
    weights: WeightOptions = DEFAULT_WEIGHTS
    base: str = "fp32"
    placement: Placement = EVERYWHERE


@dataclass(frozen=True)
class CalibrationResult:
    """What was done.

    Attributes:
        contract: The contract written beside the quantized model.
        decisions: What happened to each convolution, and why.
    """

    contract: ModelContract
    decisions: tuple[Decision, ...]


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.calibrate``."""
    parser = CommandParser(prog="python -m calibration.calibrate", description=__doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="the FP32 model from export")
    add("--images", required=True, help="folder, COCO folder, pattern or image")
    add("--out", type=Path, required=True, help="the INT8 .onnx file to write")
    add("--method", choices=[m.value for m in RangeMethod], default=RangeMethod.MSE.value)
    add("--weights", choices=[g.value for g in Granularity], default="per-channel")
    add("--weight-method", choices=[m.value for m in WeightMethod], default="max")
    add("--max-images", type=int, default=DEFAULT_MAX_IMAGES, metavar="N")
    add("--base", choices=("fp32", "fp16"), default="fp32", help="the rest; fp16 is for GPUs")
    add("--exclude", metavar="REGEX", help="convolutions that stay float, by name")
    add("--quantize-transposed", action="store_true", help="ConvTranspose too; not for RTX")
    add("--explain", action="store_true", help="print for every convolution why INT8 or not")
    return parser


def calibrate(
    source: Path, images: ImageBatches, out: Path, options: CalibrationOptions
) -> CalibrationResult:
    """Observe ranges, insert quantize and dequantize nodes, and write model and contract.

    Args:
        source: An FP32 model with its contract beside it.
        images: What to observe.
        out: The ``.onnx`` file to write, completely or not at all.
        options: How to quantize.

    Raises:
        ArtifactError: If ``source`` is missing, truncated or not ONNX.
        ContractError: If its contract is missing or does not match.
        SourceError: If an image cannot be read.
        CalibrationError: If the model is not FP32, or cannot be run or quantized.
    """
    contract = read_float_contract(source)
    model = load_model(source)
    tensors = observable(model, options.placement)
    histograms = observe(model, tensors, images, len(images), show_progress)
    ranges = choose_ranges(histograms, options.method)
    source_model = Quantizable(model, ranges, options.weights)
    quantized_model, plan = quantize_model(source_model, options.placement, options.base)
    note = (
        f"{len(plan.convolutions)} of {len(plan.decisions)} convolutions, {options.method.value} "
        f"ranges from {len(images)} images with SHA-256 {images.digest()}, base {options.base}"
    )
    tool = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    step = ProvenanceStep("calibrate", sha256_of(source), tool, note)
    quantized = contract.with_step(step, precision="int8")
    save_model(quantized_model, out)
    write_contract(quantized, out)
    return CalibrationResult(quantized, plan.decisions)


def read_float_contract(source: Path) -> ModelContract:
    """Read the contract of a model that is to be quantized.

    Raises:
        ArtifactError: If the model is missing.
        ContractError: If the contract is missing or does not match.
        CalibrationError: If the model is not a portable FP32 one.
    """
    contract = read_contract(source)
    if contract.precision != "fp32" or contract.target != "portable":
        raise CalibrationError(
            f"{source} is {contract.precision} for {contract.target}; expected the portable fp32 "
            "export; make one: python -m export.export_onnx"
        )
    return contract


def show_progress(progress: Progress) -> None:
    """Rewrite one line on a terminal; silent where the output is no terminal."""
    if sys.stderr.isatty():
        print(
            f"\rcalibrating: {progress.done}/{progress.total} images, "
            f"{progress.remaining_s:.0f} s left ",
            end="\n" if progress.done == progress.total else "",
            file=sys.stderr,
            flush=True,
        )


def explain(decisions: tuple[Decision, ...]) -> str:
    """Return a table: one line per convolution."""
    width = max(len(decision.node) for decision in decisions)
    return "\n".join(
        f"{'INT8 ' if d.int8 else 'float'}  {d.node:{width}s}  {d.rule}: {d.reason}"
        for d in decisions
    )


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out, ".onnx")
    if arguments.out.resolve() == arguments.onnx.resolve():
        raise UsageError(f"--out and --onnx are both {arguments.out}; expected another --out")
    size_hw = read_float_contract(arguments.onnx).size_hw
    images = find_images(arguments.images, size_hw, arguments.max_images)
    options = CalibrationOptions(
        RangeMethod(arguments.method),
        WeightOptions(Granularity(arguments.weights), WeightMethod(arguments.weight_method)),
        arguments.base,
        Placement(
            compile_exclude(arguments.exclude), quantize_transposed=arguments.quantize_transposed
        ),
    )
    result = calibrate(arguments.onnx, images, arguments.out, options)
    if arguments.explain:
        print(explain(result.decisions))
    size_mb = arguments.out.stat().st_size / 1e6
    print(f"wrote {arguments.out}: {size_mb:.1f} MB, {result.contract.provenance[-1].note}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
