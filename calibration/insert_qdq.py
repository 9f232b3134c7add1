"""Write quantize and dequantize nodes into a float model: explicit, symmetric INT8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from calibration.quantize_rules import QuantizationPlan
from calibration.ranges import scale_of
from calibration.weights import (
    DEFAULT_WEIGHTS,
    QuantizedWeights,
    WeightOptions,
    round_weights,
    storable_scale,
)
from export.int8_on_cpu import RANGES_KEY
from export.onnx_graph import GraphIndex, add_initializer
from export.surgery import remove_unused

# ONNX takes the integer type from the zero point, so it is written although it is always 0.
ZERO = "int8_zero"


def insert_qdq(
    model: ModelProto,
    plan: QuantizationPlan,
    thresholds: Mapping[str, float],
    weight_options: WeightOptions = DEFAULT_WEIGHTS,
    weights: Mapping[str, QuantizedWeights] = MappingProxyType({}),
) -> ModelProto:
    """Quantize the tensors and weights that a plan names.

    Activations get one scale per tensor; weights are stored as int8; biases stay float. All
    thresholds are also kept in the model's metadata, for targets that quantize more tensors than
    TensorRT wants.

    Args:
        model: A float model; changed in place.
        plan: What to quantize.
        thresholds: Clipping threshold of every tensor in ``plan.observed()``; others are kept too.
        weight_options: How weights are rounded.
        weights: Weights that are rounded already, by the convolution's first output.

    Returns:
        The same model.
    """
    add_initializer(model, ZERO, np.zeros((), np.int8))
    index = GraphIndex.of(model.graph)
    nodes = []
    scales = _activation_scales(plan, thresholds, weight_options)
    for tensor in (value.name for value in model.graph.input):
        nodes += _quantize_activation(model, scales, tensor)
    for node in list(model.graph.node):
        if node.output[0] in plan.convolutions:
            given = weights.get(node.output[0])
            nodes.append(_quantize_weights(model, index, node, given or weight_options))
        nodes.append(node)
        for tensor in node.output:
            nodes += _quantize_activation(model, scales, tensor)
    _redirect_readers(model, plan)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    remove_unused(model)
    ranges = {name: float(value) for name, value in thresholds.items()}
    helper.set_model_props(model, {**_properties(model), RANGES_KEY: json.dumps(ranges)})
    return model


def _activation_scales(
    plan: QuantizationPlan, thresholds: Mapping[str, float], options: WeightOptions
) -> dict[str, np.ndarray]:
    """Return the scale of every tensor that is quantized, float32 ()."""
    scales = {}
    for tensor in plan.readers:
        scale = np.float32(scale_of(thresholds[plan.grid_of.get(tensor, tensor)]))
        scales[tensor] = storable_scale(scale, options.scale_dtype)
    return scales


def _quantize_activation(
    model: ModelProto, scales: Mapping[str, np.ndarray], tensor: str
) -> list[NodeProto]:
    """Return the pair of nodes behind a tensor, none if it stays float."""
    if tensor not in scales:
        return []
    scale = add_initializer(model, f"{tensor}/scale", scales[tensor])
    quantized = f"{tensor}/quantized"
    return [
        helper.make_node(
            "QuantizeLinear", [tensor, scale, ZERO], [quantized], name=f"{tensor}/QuantizeLinear"
        ),
        helper.make_node(
            "DequantizeLinear",
            [quantized, scale, ZERO],
            [_dequantized(tensor)],
            name=f"{tensor}/DequantizeLinear",
        ),
    ]


def _quantize_weights(
    model: ModelProto,
    index: GraphIndex,
    node: NodeProto,
    weights: QuantizedWeights | WeightOptions,
) -> NodeProto:
    """Store a convolution's weights as int8 and return the node that dequantizes them."""
    axis = 0 if node.op_type == "Conv" else 1
    if isinstance(weights, WeightOptions):
        floats = numpy_helper.to_array(index.initializers[node.input[1]])
        weights = round_weights(floats, axis, weights)
    prefix = f"{node.output[0]}/weight"  # by node: two convolutions may share their weights
    operands = [
        add_initializer(model, f"{prefix}/quantized", weights.values),
        add_initializer(model, f"{prefix}/scale", weights.scales),
        add_initializer(model, f"{prefix}/zero", np.zeros_like(weights.scales, np.int8)),
    ]
    node.input[1] = f"{prefix}/dequantized"
    return helper.make_node(
        "DequantizeLinear", operands, [node.input[1]], name=f"{prefix}/DequantizeLinear", axis=axis
    )


def _redirect_readers(model: ModelProto, plan: QuantizationPlan) -> None:
    """Let the planned readers read the dequantized tensors."""
    for node in model.graph.node:
        for position, tensor in enumerate(node.input):
            if node.output[0] in plan.readers.get(tensor, ()):
                node.input[position] = _dequantized(tensor)


def _dequantized(tensor: str) -> str:
    return f"{tensor}/dequantized"


def _properties(model: ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}
