"""Small ONNX graphs and a way to run them, for tests of export/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.functions import attach_corner_pool, make_corner_pool
from export.onnx_graph import IR_VERSION, OPSET

Shape = Sequence[int | str | None]


def make_model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    constants: Mapping[str, np.ndarray] | None = None,
) -> ModelProto:
    """Return a model; ``inputs`` and ``outputs`` map a name to element type and shape."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return attach_corner_pool(model)


def corner_pool_model(
    direction: str, shape: Shape, elem_type: int = TensorProto.FLOAT
) -> ModelProto:
    """Return a model of one ``CornerPool`` node from ``x`` to ``y``."""
    node = make_corner_pool("x", "y", direction)
    node.name = "pool"
    return make_model([node], {"x": (elem_type, shape)}, {"y": (elem_type, shape)})


def run(model: ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    """Check a model strictly and run it in ONNX Runtime on the CPU."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def op_types(model: ModelProto) -> list[str]:
    """Return the operators of the main graph in order."""
    return [node.op_type for node in model.graph.node]
