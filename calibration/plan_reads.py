"""Where a graph reads rounded values, in the words of a plan: for reading one and writing it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from onnx import ModelProto, NodeProto

from calibration.placement_rules import CONVOLUTIONS, keeps_grid
from calibration.quantize_rules import label
from detectors.int8_plan import Int8Plan
from export.onnx_graph import GraphIndex, module_of


class ReadKind(Enum):
    """What reads a rounded value; a plan has a list for each."""

    CONVOLUTION = "convolution"
    MODULE = "pooling or upsampling module"
    JOINED = "convolution before a concatenation"
    ADDITION = "addition"


class PlannedRead(NamedTuple):
    """One operand that is read rounded.

    Attributes:
        kind: What reads it.
        name: Its name in the plan.
        position: Of the operand; 0 but for additions.
    """

    kind: ReadKind
    name: str
    position: int = 0


class Operand(NamedTuple):
    """One operand of a node.

    Attributes:
        node: Reads it.
        position: Among the node's inputs.
        planned: How a plan names it; None if a plan cannot.
    """

    node: NodeProto
    position: int
    planned: PlannedRead | None


def operands(model: ModelProto, index: GraphIndex) -> Iterator[Operand]:
    """Yield every computed operand but a convolution's weights, in graph order."""
    for node in model.graph.node:
        for position, tensor in enumerate(node.input):
            is_weight = node.op_type in CONVOLUTIONS and position > 0
            if tensor in index.producers and not is_weight:
                yield Operand(node, position, _planned(index, node, position))


def planned_scales(plan: Int8Plan) -> dict[PlannedRead, float]:
    """Return the step of every operand that a plan rounds."""
    inputs = {path: scales.input for path, scales in plan.convolutions.items()}
    lists = (
        (ReadKind.CONVOLUTION, inputs),
        (ReadKind.MODULE, plan.modules),
        (ReadKind.JOINED, plan.joined),
    )
    found = {PlannedRead(kind, name): s for kind, scales in lists for name, s in scales.items()}
    for name, pair in plan.additions.items():
        for position, scale in enumerate(pair):
            if scale is not None:
                found[PlannedRead(ReadKind.ADDITION, name, position)] = scale
    return found


def _planned(index: GraphIndex, node: NodeProto, position: int) -> PlannedRead | None:
    """Return how a plan names an operand."""
    if node.op_type in CONVOLUTIONS:
        return PlannedRead(ReadKind.CONVOLUTION, module_of(node))
    if keeps_grid(node):
        return PlannedRead(ReadKind.MODULE, module_of(node))
    if node.op_type == "Add":
        return PlannedRead(ReadKind.ADDITION, label(node), position)
    if node.op_type == "Concat":
        # Torch normalises behind the concatenation, so what it joins has no rounded form there;
        # the channels of the result that come from one convolution have.
        maker = _maker(index, node.input[position])
        if maker is not None and maker.op_type in CONVOLUTIONS:
            return PlannedRead(ReadKind.JOINED, module_of(maker))
    return None


def _maker(index: GraphIndex, tensor: str) -> NodeProto | None:
    """Return the node that made a tensor, before it was quantized if it was."""
    maker = index.producers.get(tensor)
    while maker is not None and maker.op_type in ("QuantizeLinear", "DequantizeLinear"):
        maker = index.producers.get(maker.input[0])
    return maker
