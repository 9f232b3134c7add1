"""Passes that tidy an exported graph; each takes a model, changes it in place and returns it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from export.onnx_graph import IR_VERSION, GraphIndex, add_initializer, attribute, sort_nodes
from runtime.errors import ExportError

# Where torch's exporter notes the modules that a node came from, outermost first.
_SCOPES_KEY = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Affine:
    """A batch normalisation in evaluation mode: ``factor * x + offset`` per channel, float64."""

    factor: np.ndarray
    offset: np.ndarray


def finish(model: ModelProto, module_prefix: str = "") -> ModelProto:
    """Run every pass of this file in its proper order.

    Args:
        model: What torch's exporter wrote.
        module_prefix: Leading part of module paths that the wrapper added, such as "detector.".
    """
    fold_batch_norm(model)
    remove_unused(model)
    name_by_module(model, module_prefix)
    strip_metadata(model)
    model.ir_version = IR_VERSION
    return sort_nodes(model)


def fold_batch_norm(model: ModelProto) -> ModelProto:
    """Fold batch normalisation into the convolutions before it, through a Concat if need be.

    A normalisation stays where its input has another reader, or does not come from convolutions
    alone. Arithmetic is float64, rounded once.
    """
    for norm in [n for n in model.graph.node if n.op_type == "BatchNormalization"]:
        index = GraphIndex.of(model.graph)
        affine = _affine_of(norm, index)
        makers = _convolutions_before(norm, index)
        if affine is None or not makers:
            continue
        first = 0
        for maker in makers:
            channels = _output_channels(maker, index)
            part = slice(first, first + channels)
            _scale_convolution(model, maker, Affine(affine.factor[part], affine.offset[part]))
            first += channels
        source = index.producers[norm.input[0]]
        source.output[0] = norm.output[0]
        model.graph.node.remove(norm)
    return model


def keep_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Make these tensors the graph's only outputs, and drop what then has no use.

    Any tensor with a known type will do: the raw maps keep their names inside a graph that
    decodes, so calibration and parity checks can look at them.

    Raises:
        ExportError: If the graph has no such tensor.
    """
    graph = model.graph
    known = {value.name: value for value in [*graph.value_info, *graph.output]}
    if absent := [name for name in names if name not in known]:
        raise ExportError(
            f"the graph has no tensor {absent[0]!r}; expected a model made by export_onnx"
        )
    hidden = [value for value in graph.output if value.name not in names]
    outputs = [known[name] for name in names]
    graph.value_info.extend(hidden)
    del graph.output[:]
    graph.output.extend(outputs)
    for value in [value for value in graph.value_info if value.name in names]:
        graph.value_info.remove(value)
    return remove_unused(model)


def remove_unused(model: ModelProto) -> ModelProto:
    """Remove nodes, constants, type notes and function bodies that no output depends on."""
    graph = model.graph
    producers = GraphIndex.of(graph).producers
    used: set[str] = set()
    waiting = [value.name for value in graph.output]
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used.add(name)
        if name in producers:
            waiting.extend(producers[name].input)
            used.update(producers[name].output)
    for node in [n for n in graph.node if not used.intersection(n.output)]:
        graph.node.remove(node)
    for entries in (graph.initializer, graph.value_info):
        for entry in [e for e in entries if e.name not in used]:
            entries.remove(entry)
    called = {(node.domain, node.op_type) for node in graph.node}
    for function in [f for f in model.functions if (f.domain, f.name) not in called]:
        model.functions.remove(function)
    return model


def name_by_module(model: ModelProto, module_prefix: str = "") -> ModelProto:
    """Name each node ``module.path/OpType``, and its results after it.

    A convolution takes the path of its weight, since folding moved it; any other node that of the
    innermost module whose ``forward`` made it. Inputs and outputs of the graph keep their names.

    Args:
        model: Its nodes still carry the exporter's notes.
        module_prefix: Removed from the front of every path and constant.
    """
    graph = model.graph
    fixed = {value.name for value in [*graph.input, *graph.output]}
    constants = {tensor.name for tensor in graph.initializer}
    renamed = {name: name.removeprefix(module_prefix) for name in constants}
    seen: Counter[str] = Counter()
    for node in graph.node:
        path = _module_path(node, constants).removeprefix(module_prefix)
        stem = f"{path}/{node.op_type}" if path else node.op_type
        node.name = f"{stem}_{seen[stem]}" if seen[stem] else stem
        seen[stem] += 1
        if _is_convolution(node) and len(node.input) > 2 and node.input[2] in constants:
            renamed[node.input[2]] = f"{path}.bias"
        for i, name in enumerate(node.output):
            if name and name not in fixed:
                renamed[name] = f"{node.name}:{i}" if i else node.name
    _rename_tensors(model, renamed)
    return model


def strip_metadata(model: ModelProto) -> ModelProto:
    """Remove the exporter's notes: they hold source lines and paths of the exporting machine."""
    graph = model.graph
    for owner in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        owner.ClearField("metadata_props")
        owner.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
    return model


def _affine_of(norm: NodeProto, index: GraphIndex) -> Affine | None:
    """Return what a batch normalisation computes, None if its parameters are not constant."""
    values = [index.constant(name) for name in norm.input[1:5]]
    found = [value.astype(np.float64) for value in values if value is not None]
    if len(found) != 4:
        return None
    weight, bias, mean, variance = found
    epsilon = attribute(norm, "epsilon", 1e-5)
    factor = weight / np.sqrt(variance + epsilon)
    return Affine(factor, bias - mean * factor)


def _convolutions_before(norm: NodeProto, index: GraphIndex) -> list[NodeProto]:
    """Return the convolutions whose results a normalisation alone reads, in channel order."""
    source = index.producers.get(norm.input[0])
    if source is None or index.only_consumer(norm.input[0]) is not norm:
        return []
    if source.op_type == "Concat" and attribute(source, "axis") == 1:
        if len(set(source.input)) != len(source.input):
            return []
        makers = [index.producers.get(name) for name in source.input]
        if any(index.only_consumer(name) is not source for name in source.input):
            return []
    else:
        makers = [source]
    found = [maker for maker in makers if maker is not None and _has_constant_weights(maker, index)]
    return found if len(found) == len(makers) else []


def _is_convolution(node: NodeProto) -> bool:
    return node.op_type in ("Conv", "ConvTranspose")


def _has_constant_weights(node: NodeProto, index: GraphIndex) -> bool:
    return _is_convolution(node) and all(
        name in index.initializers for name in node.input[1:] if name
    )


def _output_channels(node: NodeProto, index: GraphIndex) -> int:
    shape = index.initializers[node.input[1]].dims
    if node.op_type == "Conv":
        return int(shape[0])
    return int(shape[1]) * int(attribute(node, "group", 1))


def _scale_convolution(model: ModelProto, node: NodeProto, affine: Affine) -> None:
    """Multiply a convolution's weights and add to its bias."""
    index = GraphIndex.of(model.graph)
    tensor = index.initializers[node.input[1]]
    weight = numpy_helper.to_array(tensor)
    # Output channels: axis 0 of Conv (O, I/g, h, w); ConvTranspose has (I, O/g, h, w), where the
    # rows of each group of inputs hold that group's outputs.
    if node.op_type == "Conv":
        factor = affine.factor.reshape(-1, 1, 1, 1)
    else:
        group = int(attribute(node, "group", 1))
        per_group = affine.factor.reshape(group, weight.shape[1])
        factor = np.repeat(per_group, weight.shape[0] // group, axis=0)[..., None, None]
    offset = affine.offset
    if len(node.input) > 2 and node.input[2]:
        offset = offset + numpy_helper.to_array(index.initializers[node.input[2]]) * affine.factor
    stem = tensor.name.removesuffix(".weight")
    node.input[1] = _replace(model, index, tensor, (weight * factor).astype(weight.dtype))
    del node.input[2:]
    bias_name = f"{stem}.bias"
    if bias_name in index.initializers:
        bias_name = f"{stem}.folded_bias"
    node.input.append(add_initializer(model, bias_name, offset.astype(weight.dtype)))


def _replace(model: ModelProto, index: GraphIndex, tensor: TensorProto, value: np.ndarray) -> str:
    """Store a new value in a constant, or in a new one where other nodes read the old."""
    if len(index.consumers[tensor.name]) > 1:
        return add_initializer(model, f"{tensor.name}.folded", value)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return str(tensor.name)


def _module_path(node: NodeProto, constants: set[str]) -> str:
    """Return the path of the module that a node belongs to, "" if unknown."""
    if _is_convolution(node) and node.input[1] in constants:
        return str(node.input[1]).rpartition(".weight")[0]
    notes = {entry.key: entry.value for entry in node.metadata_props}
    scopes = ast.literal_eval(notes.get(_SCOPES_KEY, "[]"))
    # The last entry names the operator call, not a module.
    return scopes[-2] if len(scopes) > 1 else ""


def _rename_tensors(model: ModelProto, names: dict[str, str]) -> None:
    graph = model.graph
    for node in graph.node:
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = names.get(name, name)
    for entry in [*graph.initializer, *graph.value_info]:
        entry.name = names.get(entry.name, entry.name)
