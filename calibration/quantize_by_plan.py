"""Quantize the export of weights that were trained with a plan: no images, the plan's own grids."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from calibration.calibrate import read_float_contract, require_finite_weights
from calibration.insert_qdq import insert_qdq
from calibration.placement_rules import CONVOLUTIONS
from calibration.plan_reads import operands, planned_scales
from calibration.quantization_plan import plan_from_model
from calibration.quantize_rules import Decision, QuantizationPlan, label
from calibration.weights import INT8_MAX, QuantizedWeights
from detectors.int8_plan import Int8Plan, read_plan
from export.onnx_graph import GraphIndex, load_model, module_of, save_model
from export.precision import convert_to_fp16
from export.precision_rules import note_float_convolutions
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output
from runtime.contract import ModelContract, ProvenanceStep, write_contract
from runtime.errors import CalibrationError, UsageError, run_command


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.quantize_by_plan``."""
    parser = CommandParser(prog="python -m calibration.quantize_by_plan", description=__doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="the FP32 export of the trained weights")
    add("--plan", type=Path, required=True, help="what they were trained with")
    add("--out", type=Path, required=True, help="the INT8 .onnx file to write")
    add("--base", choices=("fp32", "fp16"), default="fp32", help="the rest; fp16 is for GPUs")
    return parser


def quantize_by_plan(model: ModelProto, contract: ModelContract, plan: Int8Plan) -> ModelProto:
    """Write the quantize and dequantize nodes of a plan into a float model.

    Args:
        model: The float export of the weights that were trained with the plan; changed in place.
        contract: Its contract.
        plan: What to round.

    Returns:
        The same model, with an FP32 base.

    Raises:
        CalibrationError: If the model is another detector than the plan's; names a difference.
    """
    if contract.name != plan.model:
        raise CalibrationError(
            f"the plan is of {plan.model}, the model is {contract.name}; expected the same "
            "detector; give the plan that it was trained with"
        )
    index = GraphIndex.of(model.graph)
    thresholds, readers = dict(plan.thresholds), dict[str, set[str]]()
    for tensor, reader, scale in _planned_reads(model, index, plan):
        thresholds[tensor] = scale * INT8_MAX  # exact in double: the scale has 24 bits
        readers.setdefault(tensor, set()).add(reader)
    weights = {
        node.output[0]: _weights_on_grid(index, node, plan.convolutions[module_of(node)].weights)
        for node in _convolutions(model)
        if module_of(node) in plan.convolutions
    }
    placement = QuantizationPlan(_decisions(model, plan), frozenset(weights), readers)
    insert_qdq(model, placement, thresholds, weights=weights)
    note_float_convolutions(model, plan.left_float)
    written = plan_from_model(model, contract, plan.source_sha256)
    if dataclasses.replace(written, thresholds=plan.thresholds) != plan:
        raise CalibrationError(
            f"the model cannot be rounded as {plan.model} was in training: its graph differs; "
            "expected an export of the same version; export and train again"
        )
    return model


def _planned_reads(
    model: ModelProto, index: GraphIndex, plan: Int8Plan
) -> list[tuple[str, str, float]]:
    """Return every operand that is read rounded: tensor, the reader's first output and scale.

    Raises:
        CalibrationError: If the model lacks one; names it.
    """
    wanted = planned_scales(plan)
    found = []
    for node, position, planned in operands(model, index):
        scale = None if planned is None else wanted.pop(planned, None)
        if scale is not None:
            found.append((node.input[position], node.output[0], scale))
    if wanted:
        first = next(iter(wanted))
        raise CalibrationError(
            f"the model lacks {len(wanted)} roundings of the plan, the {first.kind.value} "
            f"{first.name} first; expected the export of the detector that was trained with it"
        )
    return found


def _weights_on_grid(
    index: GraphIndex, node: NodeProto, scales: tuple[float, ...]
) -> QuantizedWeights:
    """Round a convolution's weights to the nearest points of the plan's grid.

    Raises:
        CalibrationError: If the plan has another number of channels.
    """
    axis = 0 if node.op_type == "Conv" else 1
    weights = index.constant(node.input[1])
    if weights is None or len(scales) not in (1, weights.shape[axis]):
        raise CalibrationError(
            f"the plan has {len(scales)} scales for {label(node)}, which has "
            f"{'computed weights' if weights is None else weights.shape[axis]}; expected as many "
            "as output channels; give the plan that it was trained with"
        )
    shape = [1] * weights.ndim
    shape[axis] = -1
    steps = np.rint(weights / np.array(scales, np.float32).reshape(shape))
    values = np.clip(steps, -INT8_MAX, INT8_MAX).astype(np.int8)
    found = np.float32(scales[0]) if len(scales) == 1 else np.array(scales, np.float32)
    return QuantizedWeights(values, np.asarray(found), axis)


def _convolutions(model: ModelProto) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type in CONVOLUTIONS]


def _decisions(model: ModelProto, plan: Int8Plan) -> tuple[Decision, ...]:
    """Return what happens to each convolution."""
    decisions = []
    for node in _convolutions(model):
        int8 = module_of(node) in plan.convolutions
        rule = "int8" if int8 else plan.left_float.get(label(node), "plan")
        decisions.append(Decision(label(node), node.op_type, int8, rule, "so it was trained"))
    return tuple(decisions)


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out, ".onnx")
    if arguments.out.resolve() == arguments.onnx.resolve():
        raise UsageError(f"--out and --onnx are both {arguments.out}; expected another --out")
    contract = read_float_contract(arguments.onnx)
    plan = read_plan(arguments.plan)
    model = load_model(arguments.onnx)
    require_finite_weights(model)
    model = quantize_by_plan(model, contract, plan)
    note = (
        f"{len(plan.convolutions)} convolutions as trained with the plan with SHA-256 "
        f"{plan.digest()}, base {arguments.base}"
    )
    step = ProvenanceStep("calibrate", sha256_of(arguments.onnx), f"onnx {onnx.__version__}", note)
    save_model(convert_to_fp16(model) if arguments.base == "fp16" else model, arguments.out)
    write_contract(contract.with_step(step, precision="int8"), arguments.out)
    print(f"wrote {arguments.out}: {note}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
