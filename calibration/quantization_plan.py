"""Read off an INT8 model what it rounds, as a plan for detectors.train --qat.

    python -m calibration.quantization_plan --onnx model-int8.onnx --out plan.json
    python -m detectors.train --qat plan.json --init weights.safetensors ...
    python -m calibration.quantize_by_plan --onnx tuned.onnx --plan plan.json --out tuned-int8.onnx

Make the model with --effort fast and --base fp32: other efforts change the weights before they are
rounded, and their grids do not fit those that training begins with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from onnx import ModelProto, NodeProto

from calibration.effort import Effort
from calibration.placement_rules import CONVOLUTIONS
from calibration.plan_reads import ReadKind, operands
from calibration.quantize_rules import label
from detectors.int8_plan import ConvolutionScales, Int8Plan, write_plan
from export.int8_on_cpu import RANGES_KEY
from export.onnx_graph import GraphIndex, load_model, module_of
from export.precision_rules import noted_float_convolutions
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output
from runtime.contract import ModelContract, read_contract
from runtime.errors import CalibrationError, run_command


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.quantization_plan``."""
    parser = CommandParser(
        prog="python -m calibration.quantization_plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="the portable INT8 model from calibration")
    add("--out", type=Path, required=True, help="the .json file to write")
    return parser


def plan_from_file(source: Path) -> Int8Plan:
    """Return what the INT8 model in a file rounds.

    Raises:
        ArtifactError: If the model is missing or not ONNX.
        ContractError: If its contract is missing or does not match.
        CalibrationError: If it is no portable INT8 model with an FP32 base and weights as they
            were, or quantizes what torch cannot round in the same place.
    """
    contract = read_contract(source)
    if contract.precision != "int8" or contract.target != "portable":
        raise CalibrationError(
            f"{source} is {contract.precision} for {contract.target}; expected the portable INT8 "
            "model; make one: python -m calibration.calibrate --base fp32"
        )
    notes = " ".join(step.note for step in contract.provenance if step.step == "calibrate")
    for effort in set(Effort) - {Effort.FAST}:
        if f"effort {effort.value}" in notes:
            raise CalibrationError(
                f"{source} was made with --effort {effort.value}, which changes weights before "
                "they are rounded; expected grids for the weights that training begins with; "
                "calibrate with --effort fast"
            )
    return plan_from_model(load_model(source), contract, sha256_of(source))


def plan_from_model(model: ModelProto, contract: ModelContract, sha256: str) -> Int8Plan:
    """Return what an INT8 model rounds.

    Args:
        model: With quantize and dequantize nodes, float32 elsewhere.
        contract: Its contract.
        sha256: Of its file.

    Raises:
        CalibrationError: If its base is not FP32, or a node reads quantized values that torch
            cannot round in the same place.
    """
    index = GraphIndex.of(model.graph)
    inputs: dict[str, float] = {}
    additions: dict[str, list[float | None]] = {}
    named: dict[ReadKind, dict[str, float]] = {ReadKind.MODULE: {}, ReadKind.JOINED: {}}
    for kind, name, position, scale in _rounded_reads(model, index):
        if kind is ReadKind.CONVOLUTION:
            inputs[name] = scale
        elif kind is ReadKind.ADDITION:
            additions.setdefault(name, [None, None])[position] = scale
        elif named[kind].setdefault(name, scale) != scale:
            raise CalibrationError(
                f"two operators of the module {name!r} read from two grids; torch can round what a "
                "module of its own reads; give each its own, as detectors/ does"
            )
    weights = _weight_scales(model, index)
    if odd := sorted(inputs.keys() ^ weights.keys()):
        raise CalibrationError(
            f"{odd[0]} has a quantized input or quantized weights, not both; expected what "
            "calibration.calibrate writes"
        )
    return Int8Plan(
        contract.name,
        sha256,
        {path: ConvolutionScales(inputs[path], weights[path]) for path in inputs},
        named[ReadKind.MODULE],
        named[ReadKind.JOINED],
        {name: (first, second) for name, (first, second) in additions.items()},
        _thresholds(model),
        noted_float_convolutions(model),
    )


def _rounded_reads(
    model: ModelProto, index: GraphIndex
) -> Iterator[tuple[ReadKind, str, int, float]]:
    """Yield kind, name, position and scale of every operand that comes from a grid."""
    for node, position, planned in operands(model, index):
        source = index.producers[node.input[position]]
        if source.op_type != "DequantizeLinear":
            continue
        if planned is None:
            raise CalibrationError(
                f"{label(node)} reads quantized values; torch rounds what convolutions, pooling, "
                "nearest upsampling and additions read, and what convolutions write to a "
                "concatenation; leave it float"
            )
        yield (*planned, _scales(index, source)[0])


def _weight_scales(model: ModelProto, index: GraphIndex) -> dict[str, tuple[float, ...]]:
    """Return the scales of all quantized weights, by the convolution's module."""
    found = {}
    for node in model.graph.node:
        source = index.producers.get(node.input[1]) if node.op_type in CONVOLUTIONS else None
        if source is not None and source.op_type == "DequantizeLinear":
            found[module_of(node)] = _scales(index, source)
    return found


def _scales(index: GraphIndex, node: NodeProto) -> tuple[float, ...]:
    """Return a dequantize node's constant float32 scales."""
    scales = index.constant(node.input[1])
    if scales is None or scales.dtype != np.float32:
        raise CalibrationError(
            f"{label(node)} has no constant float32 scale; expected an INT8 model with an FP32 "
            "base; calibrate with --base fp32"
        )
    return tuple(scales.reshape(-1).tolist())


def _thresholds(model: ModelProto) -> dict[str, float]:
    """Return the clipping thresholds that the calibration noted."""
    notes = {entry.key: entry.value for entry in model.metadata_props}
    thresholds: dict[str, float] = json.loads(notes.get(RANGES_KEY, "{}"))
    return thresholds


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out, ".json")
    plan = plan_from_file(arguments.onnx)
    write_plan(plan, arguments.out)
    print(
        f"wrote {arguments.out}: {len(plan.convolutions)} convolutions, {len(plan.modules)} "
        f"pooling and upsampling modules, {len(plan.additions)} additions of {plan.model}"
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
