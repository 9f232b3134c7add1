"""Biases of convolutions: one for each, so that quantization errors can be taken out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from calibration.placement_rules import CONVOLUTIONS
from export.onnx_graph import GraphIndex, add_initializer, attribute
from export.surgery import remove_unused


def own_biases(model: ModelProto, outputs: Iterable[str]) -> ModelProto:
    """Give convolutions biases that no other node reads; zeros where one had none.

    Args:
        model: Changed in place.
        outputs: First outputs of the convolutions; others are left alone.

    Returns:
        The same model.
    """
    wanted = set(outputs)
    index = GraphIndex.of(model.graph)
    for node in model.graph.node:
        name = f"{node.output[0]}/bias"
        if node.output[0] not in wanted or (len(node.input) > 2 and node.input[2] == name):
            continue
        value = index.constant(node.input[2]) if len(node.input) > 2 else None
        if value is None:
            value = np.zeros(_output_channels(index, node), np.float32)
        del node.input[2:]
        node.input.append(add_initializer(model, name, value))
    return remove_unused(model)


def read_biases(model: ModelProto, outputs: Iterable[str]) -> dict[str, np.ndarray]:
    """Return biases, float32 (channels,), by the convolution's first output.

    Args:
        model: One that ``own_biases`` has prepared.
        outputs: First outputs of the convolutions.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return {name: np.array(numpy_helper.to_array(constants[f"{name}/bias"])) for name in outputs}


def write_biases(model: ModelProto, biases: Mapping[str, np.ndarray]) -> None:
    """Replace biases, given by the convolution's first output, of a prepared model in place."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for output, value in biases.items():
        name = f"{output}/bias"
        constants[name].CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), name))


def convolution_outputs(nodes: Iterable[NodeProto]) -> list[str]:
    """Return the first output of every convolution among nodes."""
    return [node.output[0] for node in nodes if node.op_type in CONVOLUTIONS]


def _output_channels(index: GraphIndex, node: NodeProto) -> int:
    dims = index.initializers[node.input[1]].dims
    if node.op_type == "Conv":
        return int(dims[0])
    return int(dims[1]) * int(attribute(node, "group", 1))
