"""Quantize an exported detector to INT8 with ranges observed on images."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto

from calibration.effort import improve, prepare
from calibration.gate_options import gate_options_from
from calibration.observation import observe_images
from calibration.options import CalibrationOptions, build_parser, options_from, samples_from
from calibration.placement_rules import CONVOLUTIONS
from calibration.placement_table import explain_plan
from calibration.quantize import (
    Quantizable,
    choose_ranges,
    observable,
    quantize_model,
    scale_dtype,
)
from calibration.quantize_rules import QuantizationPlan, label
from calibration.samples import choose_samples
from export.onnx_graph import GraphIndex, load_model, save_model
from runtime.atomic_file import sha256_of
from runtime.command_line import check_output
from runtime.contract import ModelContract, ProvenanceStep, read_contract, write_contract
from runtime.errors import CalibrationError, UsageError, run_command
from runtime.image_batches import ImageBatches

if TYPE_CHECKING:  # it needs torch, which a calibration without a gate does without
    from calibration.gate import Gate


@dataclass(frozen=True)
class CalibrationResult:
    """What was done.

    Attributes:
        contract: The contract written beside the quantized model.
        plan: What happened to each node, and why.
    """

    contract: ModelContract
    plan: QuantizationPlan


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
        DatasetError: If the annotated images of the accuracy gate cannot be read.
        CalibrationError: If the model is not FP32, or cannot be run or quantized, or every image is
            black, or the accuracy asked for cannot be kept.
        OSError: If the file that keeps ranges cannot be written.
    """
    contract = read_float_contract(source)
    # Now: files may be replaced while this runs.
    digests = sha256_of(source), images.digest()
    model = load_model(source)
    gate = _open_gate(model, contract, options)
    quantizable = make_quantizable(model, contract, images, options)
    placement, gate_step = options.placement, None
    if gate is not None:
        placement, gate_step = gate.apply(quantizable, images)
    quantized, plan = quantize_model(quantizable, placement, options.base)
    step = _record(digests, len(images), plan, options)
    written = contract.with_step(step, precision="int8")
    if gate_step is not None:
        written = written.with_step(gate_step)
    save_model(quantized, out)
    write_contract(written, out)
    return CalibrationResult(written, plan)


def _record(
    digests: tuple[str, str], images: int, plan: QuantizationPlan, options: CalibrationOptions
) -> ProvenanceStep:
    """Return what the contract says of a calibration.

    Args:
        digests: SHA-256 of the float model's file and of the images.
        images: Number of images.
        plan: What was quantized.
        options: How.
    """
    source_sha256, images_sha256 = digests
    note = (
        f"{len(plan.convolutions)} of {len(plan.decisions)} convolutions, {options.method.value} "
        f"ranges from {images} images with SHA-256 {images_sha256}, base {options.base}, "
        f"{options.weights.granularity.value} weights by {options.weights.method.value}, "
        f"for {options.placement.target.value}, effort {options.effort.value}"
    )
    tool = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    return ProvenanceStep("calibrate", source_sha256, tool, note)


def make_quantizable(
    model: ModelProto, contract: ModelContract, images: ImageBatches, options: CalibrationOptions
) -> Quantizable:
    """Find everything that quantizing a float model needs, for any choice of INT8 convolutions.

    Args:
        model: The float model; not modified.
        contract: Its contract.
        images: What to observe.
        options: How to quantize.

    Raises:
        SourceError: If an image cannot be read.
        CalibrationError: If the model cannot be run or quantized, or every image is black.
        OSError: If the file that keeps ranges cannot be written.
    """
    require_finite_weights(model)
    model = prepare(model, images, options.effort)
    tensors = observable(model, options.placement)
    histograms = observe_images(model, contract, tensors, images, options.observation)
    ranges = choose_ranges(histograms, options.method, options.percentile)
    weights = replace(options.weights, scale_dtype=scale_dtype(options.base))
    source = Quantizable(model, ranges, weights)
    return improve(source, options.placement, images, options.effort)


def require_finite_weights(model: ModelProto) -> None:
    """Refuse a model with a weight or bias that is no number, in layers that stay float, too.

    Raises:
        CalibrationError: If there is one; names the first convolution.
    """
    index = GraphIndex.of(model.graph)
    for node in model.graph.node:
        if node.op_type not in CONVOLUTIONS:
            continue
        values = (index.constant(name) for name in node.input[1:] if name)
        if not all(value is None or np.isfinite(value).all() for value in values):
            raise CalibrationError(
                f"{label(node)} has weights that are infinite or NaN; expected finite ones; take "
                "an earlier checkpoint, or train again"
            )


def _open_gate(
    model: ModelProto, contract: ModelContract, options: CalibrationOptions
) -> Gate | None:
    """Open the accuracy gate before ranges are observed: its images may be missing."""
    if options.gate is None:
        return None
    from calibration.gate import Gate  # it measures accuracy, which needs torch

    return Gate.open(model, contract, options.gate, options)


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


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out, ".onnx")
    if arguments.out.resolve() == arguments.onnx.resolve():
        raise UsageError(f"--out and --onnx are both {arguments.out}; expected another --out")
    size_hw = read_float_contract(arguments.onnx).size_hw
    images = choose_samples(samples_from(arguments), size_hw)
    options = replace(options_from(arguments), gate=gate_options_from(arguments))
    result = calibrate(arguments.onnx, images, arguments.out, options)
    if arguments.explain:
        print(explain_plan(result.plan))
    size_mb = arguments.out.stat().st_size / 1e6
    steps = result.contract.provenance
    notes = "; ".join(step.note for step in steps if step.step in ("calibrate", "gate"))
    print(f"wrote {arguments.out}: {size_mb:.1f} MB, {notes}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
