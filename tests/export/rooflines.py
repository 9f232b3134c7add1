"""A plain device and two-layer graphs, for tests of the roofline."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from export.byte_counts import Network
from export.device_record import Device, Evidence, Figure
from export.layer_fusion import fuse_layers
from export.onnx_graph import tensor_types
from export.roofline_graph import SizedGraph, Tensor, size_graph, without_weights
from tests.export.tiny_models import Shape, make_model

# The device can do 1e12 operations per second (int8: 4e12) and move 1e9 bytes.
PEAKS = {
    "format": "cornerrt-peaks-1",
    "title": "Example board",
    "mode": "one clock",
    "source": "a test",
    "tera_operations": {"fp32": 1, "fp16": 2, "int8": 4},
    "gigabytes_per_second": 1,
    "l2_mebibytes": None,
}


def plain_device(l2_mebibytes: float | None = None, **tera_operations: float) -> Device:
    """Return a device with round peaks: 1 T/s of FP32 unless others are named, 1 GB/s."""
    peaks = tera_operations or {"fp32": 1.0, "fp16": 2.0, "int8": 4.0}
    figures = {key: Figure(value, Evidence.USER, "a test") for key, value in peaks.items()}
    cache = None if l2_mebibytes is None else Figure(l2_mebibytes, Evidence.USER, "a test")
    memory = Figure(1.0, Evidence.USER, "a test")
    return Device("plain", "Plain board", "one clock", ("Plain",), figures, memory, cache)


def sized(model: ModelProto, size_hw: tuple[int, int] | None = None) -> SizedGraph:
    """Return a model's graph with its sizes."""
    return size_graph(without_weights(model), size_hw)


def one_node(
    kind: str, shape: Shape, weights: tuple[int, ...] = (), **attributes: object
) -> SizedGraph:
    """Return the graph of one node on an input ``x`` and, where given, weights ``w``."""
    node = helper.make_node(
        kind, ["x", *(["w"] if weights else [])], ["y"], name="a/b", **attributes
    )
    constants = {"w": np.zeros(weights, np.float32)} if weights else {}
    result = {"y": (TensorProto.FLOAT, None)}
    return graph_of(make_model([node], {"x": (TensorProto.FLOAT, shape)}, result, constants))


def graph_of(model: ModelProto) -> SizedGraph:
    """Return a model's graph whatever its inputs are; tensors of unknown size are left out."""
    tensors = {
        name: Tensor(name, kind.shape, kind.elem_type)
        for name, kind in tensor_types(model).items()
        if all(isinstance(size, int) for size in kind.shape)
    }
    return SizedGraph(
        tuple(model.graph.node),
        tensors,
        frozenset(tensor.name for tensor in model.graph.initializer),
        tuple(value.name for value in model.graph.input),
        tuple(value.name for value in model.graph.output),
    )


def two_convolutions() -> ModelProto:
    """Return frames -> 3x3 convolution + ReLU -> 1x1 convolution, both with 4 outputs."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], name="stem/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], name="stem/Relu"),
        helper.make_node("Conv", ["r", "w2"], ["y"], name="head.last/Conv"),
    ]
    constants = {
        "w1": np.zeros((4, 3, 3, 3), np.float32),
        "b1": np.zeros(4, np.float32),
        "w2": np.zeros((4, 4, 1, 1), np.float32),
    }
    return make_model(
        nodes,
        {"x": (TensorProto.FLOAT, ("N", 3, 8, 8))},
        {"y": (TensorProto.FLOAT, ("N", 4, 8, 8))},
        constants,
    )


def network_of(model: ModelProto) -> Network:
    """Return a model's layers."""
    return fuse_layers(sized(model))
