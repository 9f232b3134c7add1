"""Run a part of an ONNX graph in torch, so that errors can be differentiated.

It knows the operators that exported detectors are made of up to their maps, and quantize and
dequantize nodes: rounding passes gradients straight through, clipping stops them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from detectors.corner_pool import corner_pool
from runtime.errors import CalibrationError

Operator = Callable[[Mapping[str, Any], Sequence[Tensor]], Tensor]

# What integers of a quantized tensor can be, by the type of the zero point.
LIMITS = {torch.int8: (-128, 127), torch.uint8: (0, 255)}


def run_nodes(
    nodes: Iterable[NodeProto], values: Mapping[str, Tensor], wanted: Collection[str]
) -> dict[str, Tensor]:
    """Compute tensors of a graph.

    Args:
        nodes: In graph order. Only those run that ``wanted`` depends on, and none whose results are
            among ``values``: a caller can put tensors of its own in their place.
        values: Constants and inputs by name. Integers of quantized tensors are floats here.
        wanted: Names of the tensors to return.

    Raises:
        CalibrationError: If an operator is unknown here; says which.
    """
    known = dict(values)
    for node in _needed(list(nodes), known, wanted):
        operands = [known[name] for name in _inputs(node)]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        known[node.output[0]] = find_operator(node)(attributes, operands)
    return {name: known[name] for name in wanted}


def find_operator(node: NodeProto) -> Operator:
    """Return what a node does.

    Raises:
        CalibrationError: If its operator is unknown here.
    """
    kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    if kind not in OPERATORS:
        raise CalibrationError(
            f"node {node.name or node.output[0]} is a {kind}; expected one of "
            f"{', '.join(OPERATORS)}; calibrate with --effort fast"
        )
    return OPERATORS[kind]


def constants_of(model: ModelProto) -> dict[str, Tensor]:
    """Return a model's constants; they share no memory with it."""
    arrays = ((t.name, numpy_helper.to_array(t)) for t in model.graph.initializer)
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays}


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Return the integers of a tensor, as floats; halves go to the even one.

    Gradients pass straight through the rounding and stop where values are clipped, so that a
    scale learns as in "Learned Step Size Quantization" (arXiv:1902.08153, section 2.1).
    """
    low, high = LIMITS[zero_point.dtype]
    return torch.clamp(round_straight_through(x / scale) + zero_point, low, high)


def round_straight_through(x: Tensor) -> Tensor:
    """Round; the gradient is that of the identity."""
    rounded: Tensor = _StraightThrough.apply(x)
    return rounded


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]  # torch has no types here
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _convolve(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    x, weight, *bias = operands
    begin, end = _pads(attributes)
    if begin != end:
        x, begin = functional.pad(x, _torch_pads(begin, end)), [0, 0]
    return functional.conv2d(
        x,
        weight,
        bias[0] if bias else None,
        attributes.get("strides", 1),
        begin,
        attributes.get("dilations", 1),
        attributes.get("group", 1),
    )


def _convolve_transposed(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    x, weight, *bias = operands
    begin, end = _pads(attributes)
    if begin != end:
        raise CalibrationError(
            f"a ConvTranspose has pads {attributes['pads']}; expected the same on both sides; "
            "calibrate with --effort fast"
        )
    return functional.conv_transpose2d(
        x,
        weight,
        bias[0] if bias else None,
        attributes.get("strides", 1),
        begin,
        attributes.get("output_padding", 0),
        attributes.get("group", 1),
        attributes.get("dilations", 1),
    )


def _max_pool(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    begin, end = _pads(attributes)
    # Minus infinity, not zero: a window at the border sees only values of the map.
    x = functional.pad(operands[0], _torch_pads(begin, end), value=-torch.inf)
    return functional.max_pool2d(
        x,
        attributes["kernel_shape"],
        attributes.get("strides", 1),
        0,
        attributes.get("dilations", 1),
        bool(attributes.get("ceil_mode", 0)),
    )


def _resize(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    """Repeat cells: what nearest upsampling by a whole factor is."""
    x, scales = operands[0], operands[-1].tolist()
    ways = ("mode", "nearest_mode", "coordinate_transformation_mode")
    way = tuple(attributes.get(name) for name in ways)
    if way != (b"nearest", b"floor", b"asymmetric") or any(s != int(s) or s < 1 for s in scales):
        raise CalibrationError(
            f"a Resize is {way} by {scales}; expected nearest, floor and asymmetric by whole "
            "factors; calibrate with --effort fast"
        )
    return x.repeat_interleave(int(scales[2]), 2).repeat_interleave(int(scales[3]), 3)


def _dequantize(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    x, scale, zero_point = operands
    shape = [1] * x.dim()
    if scale.dim():
        shape[attributes.get("axis", 1)] = -1
    return (x - zero_point.reshape(shape)) * scale.reshape(shape)


def _cast(attributes: Mapping[str, Any], operands: Sequence[Tensor]) -> Tensor:
    if attributes["to"] != TensorProto.FLOAT:
        name = TensorProto.DataType.Name(attributes["to"])
        raise CalibrationError(f"a Cast to {name}; expected FLOAT; calibrate the FP32 export")
    return operands[0].float()


def _pads(attributes: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Return the rows and columns to add before and behind a map."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise CalibrationError(
            f"a node has auto_pad {attributes['auto_pad'].decode()}; expected explicit pads; "
            "calibrate with --effort fast"
        )
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    return pads[:2], pads[2:]


def _torch_pads(begin: list[int], end: list[int]) -> list[int]:
    """Return pads in torch's order: columns first."""
    return [begin[1], end[1], begin[0], end[0]]


def _needed(
    nodes: Sequence[NodeProto], known: Collection[str], wanted: Collection[str]
) -> list[NodeProto]:
    """Return the nodes that lie between what is known and what is wanted, in order."""
    missing = set(wanted) - set(known)
    found = []
    for node in reversed(nodes):
        if missing.intersection(node.output):
            found.append(node)
            missing.update(name for name in _inputs(node) if name not in known)
    return found[::-1]


def _inputs(node: NodeProto) -> list[str]:
    return [name for name in node.input if name]  # an operand left out is ""


OPERATORS: dict[str, Operator] = {
    "Add": lambda attributes, x: x[0] + x[1],
    "Cast": _cast,
    "Concat": lambda attributes, x: torch.cat(list(x), attributes["axis"]),
    "Conv": _convolve,
    "ConvTranspose": _convolve_transposed,
    "DequantizeLinear": _dequantize,
    "MaxPool": _max_pool,
    "Mul": lambda attributes, x: x[0] * x[1],
    "QuantizeLinear": lambda attributes, x: quantize(*x),
    "Relu": lambda attributes, x: functional.relu(x[0]),
    "Resize": _resize,
    "Sigmoid": lambda attributes, x: torch.sigmoid(x[0]),
    "Transpose": lambda attributes, x: x[0].permute(attributes["perm"]),
    "cornerrt.CornerPool": lambda attributes, x: corner_pool(
        x[0].contiguous(), attributes["direction"].decode()
    ),
}
