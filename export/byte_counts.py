"""The fewest bytes that a layer must move.

Each layer reads every tensor from outside once and its constants once, and writes once what others
read, at the precision in which it lies in memory. ``layer_fusion`` says what a layer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import TensorProto

from export.operation_counts import Operations
from runtime.layers import module_of

_ELEMENT_BYTES = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.BOOL: 1,
    TensorProto.INT16: 2,
    TensorProto.UINT16: 2,
    TensorProto.INT32: 4,
    TensorProto.UINT32: 4,
    TensorProto.INT64: 8,
    TensorProto.DOUBLE: 8,
}
PRECISION_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1}


@dataclass(frozen=True)
class Layer:
    """Nodes that one kernel can run.

    Attributes:
        nodes: Their names; the first one gives the layer its name.
        kind: Operator of the first node.
        precision: That of its arithmetic: "fp32", "fp16", "bf16" or "int8".
        operations: Of all its nodes.
        reads: From outside, by key: elements and element type.
        writes: Likewise.
        constants: Likewise.
    """

    nodes: tuple[str, ...]
    kind: str
    precision: str
    operations: Operations
    reads: Mapping[str, tuple[int, int]]
    writes: Mapping[str, tuple[int, int]]
    constants: Mapping[str, tuple[int, int]]

    @property
    def name(self) -> str:
        """Name of its first node."""
        return self.nodes[0]

    @property
    def module(self) -> str:
        """The module of ``detectors/`` that its first node came from."""
        return module_of(self.nodes[0])

    def traffic_bytes(self, precision: str | None = None) -> int:
        """Return the bytes that it moves, as ``bytes_of`` counts them."""
        return sum(
            bytes_of(values, precision) for values in (self.reads, self.writes, self.constants)
        )


@dataclass(frozen=True)
class Network:
    """A graph as layers.

    Attributes:
        layers: In the order of the graph.
        constants: Of all layers, each once.
        borders: What comes in and goes out.
        unknown: Operators that were counted as no operations, with how many nodes each has.
    """

    layers: tuple[Layer, ...]
    constants: Mapping[str, tuple[int, int]]
    borders: Mapping[str, tuple[int, int]]
    unknown: Mapping[str, int]

    @property
    def operations(self) -> Operations:
        """All operations."""
        return sum((layer.operations for layer in self.layers), Operations())


def bytes_of(values: Mapping[str, tuple[int, int]], precision: str | None = None) -> int:
    """Return the size of tensors.

    Args:
        values: Elements and element type by name.
        precision: If given, what is FP32 in the graph counts as this precision.
    """
    total = 0
    for elements, elem_type in values.values():
        changed = precision is not None and elem_type == TensorProto.FLOAT
        size = PRECISION_BYTES[str(precision)] if changed else _ELEMENT_BYTES.get(elem_type, 4)
        total += elements * size
    return total
