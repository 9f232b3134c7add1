"""Turn TensorRT's INT8 placement into the one that ONNX Runtime fuses on processors.

TensorRT wants signed activations and one float branch per addition. ONNX Runtime needs 8 bits on
every side of an operator to fuse it, and drops a ReLU only where the integers cannot be negative.
Neither pass moves a value that lies within its calibrated range: the grids stay the same.
"""

from __future__ import annotations

import json

import numpy as np
from onnx import ModelProto, NodeProto, helper

from export.functions import is_corner_pool
from export.onnx_graph import GraphIndex, add_initializer, sort_nodes

# Model metadata written by the calibration: JSON object, tensor name -> clipping threshold.
RANGES_KEY = "cornerrt.int8_thresholds"
INT8_MAX = 127

UNSIGNED_ZERO = "uint8_zero"
UNSIGNED_MIDDLE = "uint8_middle"


def prepare_int8(model: ModelProto) -> ModelProto:
    """Apply both passes in place and return the same model."""
    return use_unsigned_activations(quantize_additions(model))


def quantize_additions(model: ModelProto) -> ModelProto:
    """Quantize the float branches of additions and concatenations whose result is quantized.

    A branch that is a pooled or upsampled quantized tensor keeps that tensor's scale; a branch of
    a concatenation takes the result's scale; others have theirs in the model's metadata. Branches
    from corner pooling stay float: pooling integers made nano only 5 % faster.

    Args:
        model: Changed in place.

    Returns:
        The same model.
    """
    thresholds = _thresholds(model)
    # Backwards: an addition quantizes the concatenation before it, and that one its branches.
    for node in reversed(list(model.graph.node)):
        if node.op_type not in ("Add", "Concat"):
            continue
        index = GraphIndex.of(model.graph)
        result = _quantize_node_behind(index, node)
        if result is None:
            continue
        for position, tensor in enumerate(node.input):
            if not _is_float(index, tensor):
                continue
            scale = _branch_scale(model, index, tensor, thresholds)
            if scale is None and node.op_type == "Concat":
                scale = result.input[1]
            if scale is not None:
                node.input[position] = _add_pair(model, tensor, scale, result.input[2])
    return sort_nodes(model)


def use_unsigned_activations(model: ModelProto) -> ModelProto:
    """Replace int8 activations by uint8 ones with the same step.

    Tensors behind a ReLU get zero point 0, all others 128. Calibrated values of the former stay
    within 0..127, so sums of two products fit the 16 bits in which processors without VNNI
    instructions add them.

    Args:
        model: Changed in place.

    Returns:
        The same model.
    """
    index = GraphIndex.of(model.graph)
    add_initializer(model, UNSIGNED_ZERO, np.array(0, np.uint8))
    add_initializer(model, UNSIGNED_MIDDLE, np.array(128, np.uint8))
    positive: set[str] = set()
    for node in model.graph.node:
        if node.op_type in ("Relu", "Sigmoid") or (
            _keeps_sign(node) and all(name in positive for name in _data_inputs(node))
        ):
            positive.update(node.output)
        if node.op_type == "QuantizeLinear":
            node.input[2] = UNSIGNED_ZERO if node.input[0] in positive else UNSIGNED_MIDDLE
        elif node.op_type == "DequantizeLinear" and node.input[0] not in index.initializers:
            node.input[2] = index.producers[node.input[0]].input[2]
    return model


def _thresholds(model: ModelProto) -> dict[str, float]:
    properties = {entry.key: entry.value for entry in model.metadata_props}
    thresholds: dict[str, float] = json.loads(properties.get(RANGES_KEY, "{}"))
    return thresholds


def _quantize_node_behind(index: GraphIndex, node: NodeProto) -> NodeProto | None:
    """Return the node that quantizes a result, through its ReLU; None if there is none."""
    readers = index.consumers[node.output[0]]
    if len(readers) == 1 and readers[0].op_type == "Relu":
        readers = index.consumers[readers[0].output[0]]
    return next((reader for reader in readers if reader.op_type == "QuantizeLinear"), None)


def _is_float(index: GraphIndex, tensor: str) -> bool:
    producer = index.producers.get(tensor)
    return producer is not None and producer.op_type != "DequantizeLinear"


def _branch_scale(
    model: ModelProto, index: GraphIndex, tensor: str, thresholds: dict[str, float]
) -> str | None:
    """Return the name of the scale for a float branch, None to leave it float."""
    producer = index.producers[tensor]
    if is_corner_pool(producer):
        return None
    if producer.op_type in ("MaxPool", "Resize"):
        source = index.producers[producer.input[0]]
        return str(source.input[1]) if source.op_type == "DequantizeLinear" else None
    if tensor not in thresholds:
        return None
    name = f"{tensor}/scale"
    if name not in index.initializers:
        add_initializer(model, name, np.float32(thresholds[tensor] / INT8_MAX))
    return name


def _add_pair(model: ModelProto, tensor: str, scale: str, zero_point: str) -> str:
    """Append quantize and dequantize nodes for a tensor; return the dequantized tensor."""
    quantized, result = f"{tensor}/quantized", f"{tensor}/dequantized"
    if not any(result in node.output for node in model.graph.node):  # two may read one branch
        model.graph.node.append(
            helper.make_node("QuantizeLinear", [tensor, scale, zero_point], [quantized])
        )
        model.graph.node.append(
            helper.make_node("DequantizeLinear", [quantized, scale, zero_point], [result])
        )
    return result


def _keeps_sign(node: NodeProto) -> bool:
    """Say whether results cannot be negative where the inputs are not."""
    kinds = ("Add", "Concat", "DequantizeLinear", "MaxPool", "QuantizeLinear", "Resize")
    return node.op_type in kinds or is_corner_pool(node)


def _data_inputs(node: NodeProto) -> list[str]:
    """Return the inputs that carry features, leaving out scales, zero points and sizes."""
    return list(node.input) if node.op_type in ("Add", "Concat") else [node.input[0]]
