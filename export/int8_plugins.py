"""Let a corner-pooling plugin read INT8 where its input is quantized.

TensorRT moves quantization through its own pooling, not through a plugin: that computes in the
type of the tensor it is given. Maxima keep the order of integers, so pooling before dequantizing
gives the same numbers, in half the traffic.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from export.functions import is_corner_pool
from export.onnx_graph import GraphIndex, sort_nodes
from export.surgery import remove_unused

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def pool_integers(model: ModelProto) -> ModelProto:
    """Move corner pooling from behind dequantize nodes to before them.

    A result that is quantized again with the same scale stays as it is, without the detour.

    Args:
        model: Changed in place; function bodies of its pooling nodes no longer fit them.

    Returns:
        The same model.
    """
    graph = model.graph
    for node in [node for node in graph.node if is_corner_pool(node)]:
        index = GraphIndex.of(graph)
        source = index.producers.get(node.input[0])
        if source is None or source.op_type != _DEQUANTIZE:
            continue
        floats, integers = node.output[0], f"{node.output[0]}/integers"
        node.input[0], node.output[0] = source.input[0], integers
        after = helper.make_node(
            _DEQUANTIZE, [integers, *source.input[1:]], [floats], name=f"{floats}/{_DEQUANTIZE}"
        )
        after.attribute.extend(source.attribute)
        graph.node.append(after)
        for reader in index.consumers[floats]:
            if reader.op_type == _QUANTIZE and _same_grid(index, source, reader):
                for last in index.consumers[reader.output[0]]:
                    _rename_input(last, reader.output[0], integers)
    return sort_nodes(remove_unused(model))


def _same_grid(index: GraphIndex, one: NodeProto, other: NodeProto) -> bool:
    """Say whether two nodes quantize with the same constant scale."""
    first, second = (index.constant(node.input[1]) for node in (one, other))
    return first is not None and second is not None and np.array_equal(first, second)


def _rename_input(node: NodeProto, old: str, new: str) -> None:
    for i, name in enumerate(node.input):
        if name == old:
            node.input[i] = new
