"""What FP16 costs, computed where no FP16 convolution exists: on a processor.

ONNX Runtime opens a half-precision file on processors, but computes it in single precision: it
takes the casts between operators out again, so that only weights are rounded, and the figure would
flatter FP16. Here every value that the file stores in half is rounded to half, by casts that
ONNX Runtime keeps, and sums within an operator stay in single precision, as in the matrix units of
GPUs.
"""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.onnx_graph import tensor_types

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT


def emulate_half(model: ModelProto) -> ModelProto:
    """Return a single-precision model that rounds where a half-precision one stores values.

    Args:
        model: The portable FP16 export; not modified.
    """
    emulated = ModelProto()
    emulated.CopyFrom(model)
    graph = emulated.graph
    half = {name for name, kind in tensor_types(model).items() if kind.elem_type == HALF}
    for tensor in graph.initializer:
        _widen(tensor, tensor.name)
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes += [node, *_round_results(node, half)]
    del graph.value_info[:], graph.node[:]
    graph.node.extend(nodes)
    return emulated


def _round_results(node: NodeProto, half: set[str]) -> list[NodeProto]:
    """Let a node compute in single precision; return the casts that round its results."""
    for entry in node.attribute:
        if entry.type == AttributeProto.TENSOR:
            _widen(entry.t, entry.t.name)
        elif node.op_type == "Cast" and entry.name == "to" and entry.i == HALF:
            entry.i = FLOAT
    casts = []
    for position, name in enumerate(node.output):
        if name in half:
            exact, rounded = f"{name}/exact", f"{name}/rounded"
            node.output[position] = exact
            casts.append(helper.make_node("Cast", [exact], [rounded], rounded, to=HALF))
            casts.append(helper.make_node("Cast", [rounded], [name], f"{name}/widened", to=FLOAT))
    return casts


def _widen(tensor: TensorProto, name: str) -> None:
    """Store a half-precision constant in single precision, which holds each of its values."""
    if tensor.data_type == HALF:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, name))
