"""A network's graph with every size known and without its weights: all that counting needs.

Weights stay behind as inputs with a type, so that the graph of hourglass-104 is 0.2 MB, not 750,
and sizes at another input are inferred in a second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from export.onnx_graph import GraphIndex, load_model, tensor_types
from runtime.errors import ArtifactError, UsageError
from runtime.manifest import HEADER_BYTES, PRODUCTS, parse_header

# The key of a weightless file's metadata that lists its real inputs; all others are weights.
_INPUTS_KEY = "cornerrt.inputs"
# Constants up to this size decide shapes: axes, scales, sizes. They stay.
_KEPT_ELEMENTS = 64
_BUILT_DOMAINS = ("com.microsoft", "com.microsoft.nchwc")


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        name: Its name.
        shape: Its sizes.
        elem_type: A ``TensorProto`` data type.
    """

    name: str
    shape: tuple[int, ...]
    elem_type: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class SizedGraph:
    """Nodes and tensors of a network at one input size.

    Attributes:
        nodes: In an order in which they can run.
        tensors: By name; constants too.
        constants: Names of weights and other constants.
        inputs: Names of what a frame brings.
        outputs: Names of what is wanted.
    """

    nodes: tuple[NodeProto, ...]
    tensors: Mapping[str, Tensor]
    constants: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor.

        Raises:
            ArtifactError: If its size is not known before running.
        """
        if name not in self.tensors:
            raise ArtifactError(
                f"the size of tensor {name!r} cannot be inferred; expected a graph whose sizes "
                "follow from its input's; export it again"
            )
        return self.tensors[name]


def read_weightless(path: Path) -> ModelProto:
    """Read an ONNX file and leave its weights behind.

    Args:
        path: A portable model, or what ``save_weightless`` wrote.

    Raises:
        ArtifactError: If it is no ONNX model, an engine, or built for one runtime.
    """
    _refuse_engine(path)
    model = load_model(path)
    if any(node.domain in _BUILT_DOMAINS for node in model.graph.node):
        raise ArtifactError(
            f"{path} was built for ONNX Runtime, whose nodes are fused already; expected the "
            "portable ONNX model that it was built from"
        )
    return without_weights(model)


def without_weights(model: ModelProto) -> ModelProto:
    """Return a copy of a model whose large constants are inputs with a type and no values."""
    graph = GraphProto(name=model.graph.name)
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= _KEPT_ELEMENTS:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    copy = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    copy.ir_version = model.ir_version
    notes = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(copy, {_INPUTS_KEY: json.dumps(_inputs_of(model)), **notes})
    return copy


def save_weightless(model: ModelProto, path: Path) -> None:
    """Write what ``without_weights`` returned; ``read_weightless`` reads it."""
    onnx.save(model, path)


def size_graph(
    model: ModelProto, size_hw: tuple[int, int] | None = None, batch: int = 1
) -> SizedGraph:
    """Infer the size of every tensor.

    Args:
        model: From ``read_weightless`` or ``without_weights``; not changed.
        size_hw: Height and width of the frames; None keeps those of the file.
        batch: Frames per run.

    Raises:
        UsageError: If the file's height or width is dynamic and none was named.
        ArtifactError: If the input is no batch of frames.
    """
    inputs = _inputs_of(model)
    sized = ModelProto()
    sized.CopyFrom(model)
    _fix_input(sized, inputs, size_hw, batch)
    types = tensor_types(sized)
    tensors = {
        name: Tensor(name, tuple(map(int, kind.shape)), kind.elem_type)  # type: ignore[arg-type]
        for name, kind in types.items()
        if all(isinstance(size, int) for size in kind.shape)
    }
    weights = {value.name for value in model.graph.input} - set(inputs)
    constants = weights | {tensor.name for tensor in model.graph.initializer}
    nodes = tuple(node for node in sized.graph.node if node.op_type != "Constant")
    made = {n for node in sized.graph.node if node.op_type == "Constant" for n in node.output}
    outputs = tuple(value.name for value in model.graph.output)
    return SizedGraph(nodes, tensors, frozenset(constants | made), tuple(inputs), outputs)


def precision_of(graph: SizedGraph) -> str:
    """Return the precision that a graph is written in: "int8" if any of it is."""
    if any(node.op_type == "QuantizeLinear" for node in graph.nodes):
        return "int8"
    kinds = {graph.tensors[name].elem_type for name in graph.constants & set(graph.tensors)}
    if TensorProto.FLOAT16 in kinds:
        return "fp16"
    return "bf16" if TensorProto.BFLOAT16 in kinds else "fp32"


def _refuse_engine(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    try:
        product = PRODUCTS[parse_header(header).product]
    except ArtifactError:
        return
    raise ArtifactError(
        f"{path} is an engine of {product}; expected the ONNX model that it was built from"
    )


def _inputs_of(model: ModelProto) -> list[str]:
    """Return the names of a model's real inputs."""
    for entry in model.metadata_props:
        if entry.key == _INPUTS_KEY:
            return list(json.loads(entry.value))
    constants = GraphIndex.of(model.graph).initializers
    return [value.name for value in model.graph.input if value.name not in constants]


def _fix_input(
    model: ModelProto, inputs: list[str], size_hw: tuple[int, int] | None, batch: int
) -> None:
    """Write batch, height and width into a model's input, and forget the outputs' old sizes."""
    frames = next(value for value in model.graph.input if value.name == inputs[0])
    dims = frames.type.tensor_type.shape.dim
    if len(inputs) != 1 or len(dims) != 4:
        raise ArtifactError(
            f"the model has {len(inputs)} inputs, the first with {len(dims)} dimensions; expected "
            "one batch of frames with four; name a detector's model"
        )
    dims[0].dim_value = batch
    rows = 1 if dims[3].dim_value == 3 else 2  # NHWC as our frames are, or NCHW
    for axis, size in zip((rows, rows + 1), size_hw or (0, 0), strict=True):
        if size:
            dims[axis].dim_value = size
        elif not dims[axis].dim_value:
            raise UsageError(
                f"the model's {'height' if axis == rows else 'width'} is dynamic "
                f"({dims[axis].dim_param or 'unnamed'}); expected a size to count at; "
                "add --size H W"
            )
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
