"""What every pass over an ONNX model needs: lookups, sorting, reading and writing.

Passes take a ``ModelProto``, change it in place and return it: a copy of hourglass-104 would cost
0.8 GB each.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from runtime.atomic_file import replace_when_done
from runtime.errors import ArtifactError, ExportError

# 19 is the first opset with half-precision QuantizeLinear scales, which TensorRT 10.3 asks for in
# half-precision graphs; its parser knows operators up to opset 20.
OPSET = 19
# The format version that came with opset 19; every runtime we name reads it.
IR_VERSION = 9


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor, as far as the model tells.

    Attributes:
        elem_type: A ``TensorProto`` data type.
        shape: Sizes; a string names a dynamic one, None is unknown.
    """

    elem_type: int
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class GraphIndex:
    """Who makes and who reads each tensor of a graph; a snapshot, stale after a change.

    Attributes:
        producers: Node by name of the tensor that it makes.
        consumers: Nodes by name of the tensor that they read, in graph order.
        initializers: Constant by name.
        outputs: Names of the graph's outputs.
    """

    producers: dict[str, NodeProto] = field(default_factory=dict)
    consumers: dict[str, list[NodeProto]] = field(default_factory=lambda: defaultdict(list))
    initializers: dict[str, TensorProto] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, graph: GraphProto) -> GraphIndex:
        """Index a graph."""
        index = cls(outputs=frozenset(value.name for value in graph.output))
        index.initializers.update((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            index.producers.update((name, node) for name in node.output if name)
            for name in dict.fromkeys(node.input):
                index.consumers[name].append(node)
        return index

    def only_consumer(self, name: str) -> NodeProto | None:
        """Return the one node that reads a tensor; None if there are others or it is an output."""
        nodes = self.consumers.get(name, [])
        return nodes[0] if len(nodes) == 1 and name not in self.outputs else None

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of an initializer, None if the tensor is computed."""
        tensor = self.initializers.get(name)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))


def module_of(node: NodeProto) -> str:
    """Return the path of the torch module that a node came from, "" for the wrapper's own nodes.

    Nodes are named ``module.path/OpType``, and nodes that passes add have more after that. A module
    of ``detectors/`` has the path that ``named_modules()`` gives it.
    """
    path, slash, _ = node.name.partition("/")
    return path if slash else ""


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, or ``default``."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


def add_initializer(model: ModelProto, name: str, value: np.ndarray) -> str:
    """Add a constant to a graph and return its name.

    Raises:
        ExportError: If the name is taken.
    """
    if any(tensor.name == name for tensor in model.graph.initializer):
        raise ExportError(f"constant {name!r} exists already; expected unique names; report this")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
    return name


def tensor_types(model: ModelProto) -> dict[str, TensorType]:
    """Return the type of every tensor of the main graph that can be inferred."""
    graph = onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True).graph
    types = {
        tensor.name: TensorType(tensor.data_type, tuple(tensor.dims))
        for tensor in model.graph.initializer
    }
    for value in [*graph.value_info, *graph.input, *graph.output]:
        tensor = value.type.tensor_type
        types[value.name] = TensorType(tensor.elem_type, tuple(map(_size, tensor.shape.dim)))
    return types


def sort_nodes(model: ModelProto) -> ModelProto:
    """Order nodes so that each follows the nodes it reads from; otherwise keep their order.

    Raises:
        ExportError: If the graph has a cycle.
    """
    graph = model.graph
    index = GraphIndex.of(graph)
    nodes = list(graph.node)
    position = {id(node): i for i, node in enumerate(nodes)}
    done: set[int] = set()
    order: list[int] = []
    for root in range(len(nodes)):
        stack, open_nodes = [root], set()
        while stack:
            top = stack[-1]
            makers = (index.producers.get(name) for name in _reads(nodes[top]))
            needs = [position[id(m)] for m in makers if m is not None]
            waiting = [need for need in needs if need not in done]
            if top in done or not waiting:
                stack.pop()
                if top not in done:
                    done.add(top)
                    order.append(top)
            elif top in open_nodes:
                raise ExportError(f"node {nodes[top].name!r} depends on itself; expected no cycle")
            else:
                open_nodes.add(top)
                stack.extend(waiting)
    if order != list(range(len(nodes))):
        ordered = [NodeProto.FromString(nodes[i].SerializeToString()) for i in order]
        del graph.node[:]
        graph.node.extend(ordered)
    return model


def load_model(path: Path) -> ModelProto:
    """Read and check an ONNX file.

    Raises:
        ArtifactError: If the file is missing, cut short or not a valid ONNX model.
    """
    if not path.is_file():
        raise ArtifactError(f"no file at {path}; expected an ONNX model; export one: make engine")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        raise ArtifactError(
            f"{path} is not a complete ONNX model ({_first_line(error)}); export it again"
        ) from None
    return model


def save_model(model: ModelProto, path: Path) -> Path:
    """Check a model and write it, completely or not at all.

    Raises:
        ExportError: If the model is not valid ONNX or the file cannot be written.
    """
    try:
        onnx.checker.check_model(model)
        with replace_when_done(path) as partial:
            onnx.save(model, partial)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the graph is not valid ONNX ({_first_line(error)})") from None
    except OSError as error:
        raise ExportError(f"cannot write {path} ({error.strerror}); choose another place") from None
    return path


def _reads(node: NodeProto) -> list[str]:
    """Return the tensors that a node reads, those that its subgraphs read from outside too."""
    names = list(node.input)
    for entry in node.attribute:
        if entry.HasField("g"):
            for inner in entry.g.node:
                names.extend(_reads(inner))
    return names


def _without_weights(model: ModelProto) -> ModelProto:
    """Return a copy for shape inference whose large constants are inputs: cheap at 0.8 GB."""
    graph = GraphProto(name=model.graph.name)
    graph.node.extend(model.graph.node)
    graph.output.extend(model.graph.output)
    graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) <= 64:  # shapes, axes, scales: values that decide other shapes
            graph.initializer.append(tensor)
        else:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(info)
    copy = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    copy.ir_version = model.ir_version
    return copy


def _size(dimension: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) or None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
