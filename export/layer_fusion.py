"""Layers as a runtime fuses them.

The rule: a pointwise operation joins the layer that makes its last operand, whichever kind that
layer is, if nothing else reads that operand. Changes of type (casts, quantisation) always join.
What only looks at bytes in another way (reshape, transpose, concatenation, dequantisation) costs
nothing. Everything else is a layer of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from onnx import NodeProto, TensorProto

from export.byte_counts import Layer, Network
from export.decode_function import is_corner_decode
from export.onnx_graph import attribute
from export.operation_counts import (
    CONVERSIONS,
    INDEXED,
    POINTWISE,
    VIEWS,
    Operations,
    count_operations,
)
from export.roofline_graph import SizedGraph

_FLOATS = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
}
_INT8 = frozenset({TensorProto.INT8, TensorProto.UINT8})
# Makers of what no layer of the network makes.
_FRAME, _CONSTANT = -1, -2


@dataclass(frozen=True)
class Piece:
    """A part of a tensor as it lies in memory, made by one layer.

    Attributes:
        key: What it is called; the same piece has the same key wherever it is read.
        elements: Its size.
        elem_type: A ``TensorProto`` data type.
        layer: Index of the layer that makes it.
    """

    key: str
    elements: int
    elem_type: int
    layer: int


def fuse_layers(graph: SizedGraph) -> Network:
    """Divide a graph into layers and count what each computes and moves.

    Raises:
        ArtifactError: If the size of a tensor is not known.
    """
    fusion = _Fusion(graph)
    for node in graph.nodes:
        fusion.add(node)
    return fusion.finish()


@dataclass
class _OpenLayer:
    kind: str
    precision: str
    nodes: list[str] = field(default_factory=list)
    operations: Operations = field(default_factory=Operations)
    reads: dict[str, tuple[int, int]] = field(default_factory=dict)
    writes: dict[str, tuple[int, int]] = field(default_factory=dict)
    constants: dict[str, tuple[int, int]] = field(default_factory=dict)


class _Fusion:
    """The state of dividing one graph.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: SizedGraph) -> None:
        self.graph = graph
        self.layers: list[_OpenLayer] = []
        self.unknown: Counter[str] = Counter()
        self.pieces: dict[str, tuple[Piece, ...]] = {}
        readers = Counter(name for node in graph.nodes for name in set(node.input))
        readers.update(graph.outputs)
        # Tensors that something else reads as well: views of one are shared as it is.
        self.shared = {name for name, count in readers.items() if count > 1}
        for name in graph.inputs:
            self.pieces[name] = (self._piece(name, _FRAME),)

    def add(self, node: NodeProto) -> None:
        """Put one node where it belongs."""
        if all(not name or name in self.graph.constants for name in node.input):
            self._fold(node)
        elif node.op_type in VIEWS and not node.domain:
            self._look(node)
        elif (operand := self._operand_to_join(node)) is not None:
            self._join(node, operand)
        else:
            self._open(node)

    def finish(self) -> Network:
        """Return the layers, now that all readers are known."""
        for name in self.graph.outputs:
            for piece in self.pieces.get(name, ()):
                self._write(piece)
        ends = [p for name in self.graph.outputs for p in self.pieces.get(name, ())]
        starts = [p for name in self.graph.inputs for p in self.pieces[name]]
        constants: dict[str, tuple[int, int]] = {}
        for layer in self.layers:
            constants.update(layer.constants)
        return Network(
            tuple(
                Layer(
                    tuple(x.nodes),
                    x.kind,
                    x.precision,
                    x.operations,
                    x.reads,
                    x.writes,
                    x.constants,
                )
                for x in self.layers
            ),
            constants,
            {piece.key: (piece.elements, piece.elem_type) for piece in (*starts, *ends)},
            dict(self.unknown),
        )

    def _piece(self, name: str, layer: int) -> Piece:
        tensor = self.graph.tensor(name)
        return Piece(name, tensor.elements, tensor.elem_type, layer)

    def _of(self, name: str) -> tuple[Piece, ...]:
        """Return the pieces of a tensor; one of its own for a constant."""
        if name in self.pieces:
            return self.pieces[name]
        return (self._piece(name, _CONSTANT),)

    def _fold(self, node: NodeProto) -> None:
        """A node of constants alone is computed before any frame, if it is not only a view."""
        for name in node.output:
            folded = node.op_type == "DequantizeLinear"
            source = self._of(node.input[0]) if folded else (self._piece(name, _CONSTANT),)
            self.pieces[name] = source

    def _look(self, node: NodeProto) -> None:
        names = node.input if node.op_type == "Concat" else node.input[:1]
        pieces = tuple(piece for name in names for piece in self._of(name))
        for name in node.output:
            self.pieces[name] = pieces
            if self.shared.intersection(names) or len(node.output) > 1:
                self.shared.add(name)
        if (made := max(piece.layer for piece in pieces)) >= 0:
            self.layers[made].nodes.append(node.name)

    def _operand_to_join(self, node: NodeProto) -> str | None:
        """Return the operand in whose layer a node can run, the last that is made."""
        converts = node.op_type in CONVERSIONS
        if node.domain or not (converts or node.op_type in POINTWISE):
            return None
        names = node.input[:1] if converts else node.input
        elements = self.graph.tensor(node.output[0]).elements
        fitting = [
            name
            for name in names
            if name in self.pieces
            and all(piece.layer >= 0 for piece in self.pieces[name])
            and sum(piece.elements for piece in self.pieces[name]) == elements
        ]
        if not fitting:
            return None
        last = max(fitting, key=lambda name: max(p.layer for p in self.pieces[name]))
        # A sum's other operand may be made later than this one: then this layer is too early.
        latest = max((p.layer for name in names if name for p in self._of(name)), default=0)
        if max(p.layer for p in self.pieces[last]) < latest:
            return None
        return last if converts or last not in self.shared else None

    def _join(self, node: NodeProto, operand: str) -> None:
        """Run a node in place, where its operand is made."""
        own = self.pieces[operand]
        elem_type = self.graph.tensor(node.output[0]).elem_type
        layer = max(piece.layer for piece in own)
        result = node.output[0]
        self.pieces[result] = tuple(
            Piece(f"{result}#{i}" if len(own) > 1 else result, p.elements, elem_type, p.layer)
            for i, p in enumerate(own)
        )
        self.layers[layer].nodes.append(node.name)
        self._count(node, layer)
        for name in node.input:
            if name and name != operand:
                self._read(name, layer)

    def _open(self, node: NodeProto) -> None:
        """Begin a layer with a node."""
        layer = len(self.layers)
        self.layers.append(_OpenLayer(node.op_type, self._precision(node), [node.name]))
        self._count(node, layer)
        for index, name in enumerate(node.input):
            if name:
                self._read(name, layer, self._most_needed(node, index))
        for name in node.output:
            if name:
                self.pieces[name] = (self._piece(name, layer),)

    def _count(self, node: NodeProto, layer: int) -> None:
        operations = count_operations(node, self.graph)
        if operations is None:
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            self.unknown[kind] += 1
        else:
            self.layers[layer].operations += operations

    def _read(self, name: str, layer: int, most: int | None = None) -> None:
        """Let a layer read a tensor, no more of it than ``most`` elements."""
        pieces = self._of(name)
        whole = sum(piece.elements for piece in pieces)
        seen = min(whole, self.graph.tensor(name).elements, whole if most is None else most)
        for piece in pieces:
            entry = (piece.elements * seen // whole if whole else 0, piece.elem_type)
            if piece.layer == _CONSTANT:
                self.layers[layer].constants[piece.key] = entry
            elif piece.layer != layer:
                earlier = self.layers[layer].reads.get(piece.key, (0, 0))
                self.layers[layer].reads[piece.key] = max(entry, earlier)
                self._write(piece)

    def _write(self, piece: Piece) -> None:
        if piece.layer >= 0:
            self.layers[piece.layer].writes[piece.key] = (piece.elements, piece.elem_type)

    def _most_needed(self, node: NodeProto, index: int) -> int | None:
        """Return how many elements of an operand a node looks at; None for all."""
        if node.op_type in INDEXED and index == 0:
            return self.graph.tensor(node.output[0]).elements
        if is_corner_decode(node) and index >= 2:  # embeddings and offsets of the best alone
            batch, channels = self.graph.tensor(node.input[index]).shape[:2]
            return int(batch * channels * attribute(node, "top_k"))
        return None

    def _precision(self, node: NodeProto) -> str:
        """Return the precision of a layer's arithmetic, by the types in which operands lie."""
        operands = [name for name in node.input[:2] if name]
        kinds = [{piece.elem_type for piece in self._of(name)} for name in operands]
        if node.op_type not in POINTWISE and len(kinds) > 1 and all(k <= _INT8 for k in kinds):
            return "int8"
        result = self.graph.tensor(node.output[0]).elem_type
        return _FLOATS.get(result, "int8" if result in _INT8 else "fp32")
