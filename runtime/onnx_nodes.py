"""The nodes of an ONNX file: names, operators and tensors, read without the library ``onnx``.

A runtime tells the time of layers that it fused; what they are made of stands in the file that it
was given. Devices have no ``onnx``, and only five fields of its format are needed. Field numbers
are those of onnx.proto (https://github.com/onnx/onnx), which never change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from runtime.errors import ArtifactError

# ONNX Runtime puts this before the names of a function's nodes and tensors when it inlines it.
INLINED = "_inlfunc_"

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE = 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR = 1, 2, 3, 4
_FUNCTION_NAME, _FUNCTION_INPUT, _FUNCTION_OUTPUT, _FUNCTION_NODE = 1, 4, 5, 7
# Kinds of values in Protocol Buffers (https://protobuf.dev/programming-guides/encoding).
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5

_Message = dict[int, list[memoryview]]


@dataclass(frozen=True)
class OnnxNode:
    """One node.

    Attributes:
        name: Its own, or what ONNX Runtime calls a node without one: operator and position.
        operator: Such as "Conv".
        inputs: Names of the tensors that it reads; "" for one left out.
        outputs: Names of the tensors that it makes.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxNodes:
    """The nodes that run, in the order of the file.

    A function that is called once is inlined with the names that ONNX Runtime gives; the nodes of
    others are left out, since their names cannot be known.
    """

    nodes: tuple[OnnxNode, ...]

    @cached_property
    def by_name(self) -> dict[str, OnnxNode]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def makers(self) -> dict[str, OnnxNode]:
        """The node that makes a tensor, by the tensor's name."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def readers(self) -> dict[str, list[OnnxNode]]:
        """The nodes that read a tensor, by the tensor's name."""
        found: dict[str, list[OnnxNode]] = {}
        for node in self.nodes:
            for name in filter(None, node.inputs):
                found.setdefault(name, []).append(node)
        return found


def read_onnx_nodes(path: Path) -> OnnxNodes:
    """Read the nodes of an ONNX file; its weights are not loaded.

    Raises:
        ArtifactError: If the file is no ONNX model, or is cut short.
    """
    try:
        model = _message(np.memmap(path, np.uint8, "r").data)
        graph = _message(model[_MODEL_GRAPH][-1])
        functions = [_message(each) for each in model.get(_MODEL_FUNCTION, ())]
        nodes = [_node(each, index) for index, each in enumerate(graph[_GRAPH_NODE])]
    except (ValueError, IndexError, KeyError) as error:
        raise ArtifactError(
            f"{path} is not a complete ONNX file ({error}); expected the model that was built; "
            "build again: make engine"
        ) from None
    bodies = {_texts(function, _FUNCTION_NAME)[0]: function for function in functions}
    calls = Counter(node.operator for node in nodes)
    return OnnxNodes(
        tuple(
            inner
            for node in nodes
            for inner in (_inlined(node, bodies, calls) if node.operator in bodies else [node])
        )
    )


def _inlined(
    call: OnnxNode, bodies: dict[str, _Message], calls: Counter[str]
) -> Iterator[OnnxNode]:
    """Yield the nodes of a function's body with the names that they have in the graph."""
    if calls[call.operator] > 1:
        return
    body = bodies[call.operator]
    prefix = f"{INLINED}{call.operator}_"
    names = dict(zip(_texts(body, _FUNCTION_INPUT), call.inputs, strict=False))
    names |= zip(_texts(body, _FUNCTION_OUTPUT), call.outputs, strict=False)
    for index, data in enumerate(body[_FUNCTION_NODE]):
        node = _node(data, index)
        inputs = tuple(name and names.get(name, prefix + name) for name in node.inputs)
        outputs = tuple(name and names.get(name, prefix + name) for name in node.outputs)
        yield OnnxNode(prefix + node.outputs[0], node.operator, inputs, outputs)


def _node(data: memoryview, index: int) -> OnnxNode:
    message = _message(data)
    operator = _texts(message, _NODE_OPERATOR)[0]
    name = next(filter(None, _texts(message, _NODE_NAME)), f"{operator}_{index}")
    return OnnxNode(name, operator, _texts(message, _NODE_INPUT), _texts(message, _NODE_OUTPUT))


def _texts(message: _Message, field: int) -> tuple[str, ...]:
    return tuple(bytes(each).decode() for each in message.get(field, ()))


def _message(data: memoryview) -> _Message:
    """Return the values of a message that have a length, by field; numbers are left out."""
    fields: _Message = {}
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _LENGTH:
            size, position = _varint(data, position)
            fields.setdefault(key >> 3, []).append(data[position : position + size])
            position += size
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            position += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"value of kind {kind} at byte {position}")
    if position > len(data):
        raise ValueError(f"cut short by {position - len(data)} bytes")
    return fields


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return a number, seven bits a byte with the lowest first, and where the next value starts."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
