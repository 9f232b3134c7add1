"""Tensors whose channels may be scaled together without changing what the network computes.

A convolution's output channel may be multiplied by a positive number if everything that reads it
divides by the same number. ReLU, max pooling, corner pooling and nearest upsampling let a positive
factor through; an addition does if its branches have the same factors. A group is everything that
such nodes join, from the convolutions that write it to those that read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from calibration.placement_rules import CONVOLUTIONS, keeps_grid
from export.onnx_graph import GraphIndex, attribute


@dataclass(frozen=True)
class ChannelGroup:
    """Tensors with the same channel factors.

    Attributes:
        tensors: Their names, in graph order.
        writers: The convolutions that write into the group.
        readers: The convolutions that read from it.
    """

    tensors: tuple[str, ...]
    writers: tuple[NodeProto, ...]
    readers: tuple[NodeProto, ...]

    def read_by_convolutions(self) -> list[str]:
        """Return the tensors that convolutions read, each once."""
        return list(dict.fromkeys(node.input[0] for node in self.readers))


def find_channel_groups(model: ModelProto) -> list[ChannelGroup]:
    """Return every group between convolutions, in graph order.

    Left out are groups that an output of the network, a concatenation, a sigmoid or another node
    is part of, and those whose convolutions share weights with others or compute them.
    """
    index = GraphIndex.of(model.graph)
    joined: dict[str, str] = {}
    blocked: set[str] = set(index.outputs)
    for node in model.graph.node:
        if node.op_type in CONVOLUTIONS:
            if not _has_own_weights(index, node):
                blocked.update((node.input[0], node.output[0]))
            continue
        data = [node.input[0]] if keeps_grid(node) or node.op_type == "Relu" else list(node.input)
        if not _lets_factors_through(index, node):
            blocked.update((*data, *node.output))
            continue
        for name in data:
            joined[_root(joined, name)] = _root(joined, node.output[0])
    blocked = {_root(joined, name) for name in blocked}
    members: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.output:
            members.setdefault(_root(joined, name), []).append(name)
    groups = (_group(index, names) for root, names in members.items() if root not in blocked)
    return [group for group in groups if group.writers and group.readers]


def scale_channels(model: ModelProto, group: ChannelGroup, factors: np.ndarray) -> None:
    """Multiply every channel of a group by a factor; what the network gives stays the same.

    Args:
        model: Changed in place: weights and biases of the group's convolutions.
        group: Of this model.
        factors: Positive, float64 (C,).
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in group.writers:
        tensor = constants[node.input[1]]
        split = split_weights(node, _value(tensor))
        scaled = split * factors.reshape(*split.shape[:2], 1, 1, 1)
        _store(tensor, join_weights(node, scaled))
        if len(node.input) > 2 and node.input[2]:
            _store(constants[node.input[2]], _value(constants[node.input[2]]) * factors)
    for node in group.readers:
        tensor = constants[node.input[1]]
        split = split_weights(node, _value(tensor))
        scaled = split / factors.reshape(split.shape[0], 1, split.shape[2], 1, 1)
        _store(tensor, join_weights(node, scaled))


def split_weights(node: NodeProto, weights: np.ndarray) -> np.ndarray:
    """Return a convolution's weights as (groups, outputs, inputs, height, width).

    Args:
        node: A Conv or ConvTranspose.
        weights: Its weights as ONNX stores them.
    """
    groups = int(attribute(node, "group", 1))
    split = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
    return split if node.op_type == "Conv" else split.swapaxes(1, 2)


def join_weights(node: NodeProto, split: np.ndarray) -> np.ndarray:
    """Return split weights as ONNX stores them: the inverse of ``split_weights``."""
    split = split if node.op_type == "Conv" else split.swapaxes(1, 2)
    return split.reshape(-1, *split.shape[2:])


def _group(index: GraphIndex, names: list[str]) -> ChannelGroup:
    writers = [index.producers[name] for name in names]
    readers = {id(node): node for name in names for node in index.consumers.get(name, [])}
    return ChannelGroup(
        tuple(names),
        tuple(node for node in writers if node.op_type in CONVOLUTIONS),
        tuple(node for node in readers.values() if node.op_type in CONVOLUTIONS),
    )


def _lets_factors_through(index: GraphIndex, node: NodeProto) -> bool:
    if node.op_type == "Add":
        return not any(name in index.initializers for name in node.input)
    return node.op_type == "Relu" or keeps_grid(node)


def _has_own_weights(index: GraphIndex, node: NodeProto) -> bool:
    """Say whether a convolution's weights and bias are constants that no other node reads."""
    return all(
        name in index.initializers and index.only_consumer(name) is not None
        for name in node.input[1:]
        if name
    )


def _root(joined: dict[str, str], name: str) -> str:
    while joined.get(name, name) != name:
        name = joined[name]
    return name


def _value(tensor: TensorProto) -> np.ndarray:
    return np.asarray(numpy_helper.to_array(tensor))


def _store(tensor: TensorProto, value: np.ndarray) -> None:
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32, order="C"), name))
