"""The part of a graph between INT8 convolutions, and what is decided about its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from onnx import NodeProto

from export.onnx_graph import GraphIndex


class Target(Enum):
    """What an INT8 file is meant for.

    Attributes:
        PORTABLE: Every target: only what none of them runs badly.
        ONNXRUNTIME: ONNX Runtime on processors.
        TENSORRT: The full TensorRT, whose convolutions write INT8.
        TENSORRT_RTX: TensorRT-RTX, whose convolutions read INT8 and write floats, so that a kernel
            of its own quantizes each tensor.
    """

    PORTABLE = "portable"
    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


@dataclass
class Region:
    """What rules about pooling, concatenations and additions look at, and write down.

    Attributes:
        index: Producers, consumers and constants.
        target: What the file is meant for.
        convolutions: First output of every convolution that runs in INT8.
        inside: Tensors that depend on an INT8 convolution and that another one depends on.
        readers: Tensor to quantize -> first outputs of the nodes that read it quantized.
        grid_of: Tensor -> the tensor whose scale it shares; the last in a chain.
        float_branches: Branches of additions and results of concatenations that stay float.
    """

    index: GraphIndex
    target: Target
    convolutions: frozenset[str]
    inside: frozenset[str]
    readers: dict[str, set[str]] = field(default_factory=dict)
    grid_of: dict[str, str] = field(default_factory=dict)
    float_branches: set[str] = field(default_factory=set)

    @classmethod
    def around(
        cls,
        index: GraphIndex,
        target: Target,
        nodes: Sequence[NodeProto],
        convolutions: Sequence[NodeProto],
    ) -> Region:
        """Return the region of some convolutions, each of which reads its features quantized.

        Args:
            index: Of the graph.
            target: What the file is meant for.
            nodes: Of the graph, in order.
            convolutions: Those that run in INT8.
        """
        before = upstream(nodes, (node.input[0] for node in convolutions))
        behind = _downstream(nodes, (node.output[0] for node in convolutions))
        names = frozenset(node.output[0] for node in convolutions)
        region = cls(index, target, names, before & behind)
        for node in convolutions:
            region.quantize(node.input[0], node)
        return region

    def quantize(self, tensor: str, reader: NodeProto) -> None:
        """Let a node read a tensor quantized."""
        self.readers.setdefault(tensor, set()).add(reader.output[0])

    def share_scale(self, tensor: str, source: str) -> None:
        """Give a tensor, and all that share its scale, the scale of another one."""
        mine, wanted = self.scale_of(tensor), self.scale_of(source)
        for name in [name for name, grid in self.grid_of.items() if grid == mine]:
            self.grid_of[name] = wanted
        self.grid_of[mine] = wanted

    def scale_of(self, tensor: str) -> str:
        """Return the tensor whose scale a tensor has: mostly its own."""
        return self.grid_of.get(tensor, tensor)

    def is_int8(self, tensor: str) -> bool:
        """Say whether a tensor is quantized, or a copy of one that is."""
        return tensor in self.readers or tensor in self.grid_of

    def branches(self, node: NodeProto) -> list[str]:
        """Return the inputs of a node that are computed."""
        return [name for name in node.input if name not in self.index.initializers]


def upstream(nodes: Sequence[NodeProto], ends: Iterable[str]) -> frozenset[str]:
    """Return every tensor that one of ``ends`` depends on, these included."""
    found = set(ends)
    for node in reversed(nodes):
        if not found.isdisjoint(node.output):
            found.update(node.input)
    return frozenset(found)


def _downstream(nodes: Sequence[NodeProto], starts: Iterable[str]) -> frozenset[str]:
    """Return every tensor that depends on one of ``starts``, these included."""
    found = set(starts)
    for node in nodes:
        if not found.isdisjoint(node.input):
            found.update(node.output)
    return frozenset(found)
