"""Half precision as casts in the file, which strongly typed TensorRT networks ask for.

Every float tensor becomes half (FP16, or BF16: the range of single precision with 8 bits), except
where a rule of precision_rules.py keeps a node in single precision; casts join the two. Inputs and
outputs keep their types. INT8 graphs with Q/DQ nodes convert as well: the type of the scales
decides that of the dequantised tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.onnx_graph import OPSET, GraphIndex, TensorType, sort_nodes, tensor_types
from export.precision_rules import LARGEST_HALF, Surroundings, largest_of, rule_of
from runtime.errors import ExportError

FLOAT = TensorProto.FLOAT
# The first opset in which convolution, pooling and resizing may be BF16.
BF16_OPSET = 22
# The format version that came with it.
_BF16_IR_VERSION = 10
# Operands that ONNX defines as single precision, whatever the node's own type.
_FLOAT_OPERANDS = {"Resize": (1, 2), "Upsample": (1,)}
_SCALED = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class HalfType:
    """A number type of 16 bits.

    Attributes:
        name: As users write it: "fp16" or "bf16".
        elem_type: The same as a ``TensorProto`` data type.
        dtype: The same for NumPy.
        largest: Largest finite number.
        smallest: Smallest normal number: TensorRT may flush what lies below to zero, and scales
            must not be.
    """

    name: str
    elem_type: int
    dtype: np.dtype[Any]
    largest: float
    smallest: float


FP16 = HalfType("fp16", TensorProto.FLOAT16, np.dtype(np.float16), LARGEST_HALF, 2.0**-14)
BF16 = HalfType(
    "bf16", TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16), 2.0**128 - 2.0**120, 2.0**-126
)


def convert_to_fp16(model: ModelProto) -> ModelProto:
    """Turn a single-precision or Q/DQ graph into half precision.

    Args:
        model: Changed in place. Opset 19 or later if it has Q/DQ nodes.

    Returns:
        The same model. Nodes that a rule of precision_rules.py keeps, and the graph's inputs and
        outputs, keep their types.

    Raises:
        ExportError: If a tensor's type is unknown, or the opset too old for half scales.
    """
    _check_opset(model)
    return _convert(model, FP16)


def convert_to_bf16(model: ModelProto) -> ModelProto:
    """Turn a single-precision graph into BF16, as ``convert_to_fp16`` does into half.

    The opset becomes 22, the first one with BF16 convolutions: for TensorRT-RTX and TensorRT 10.13
    or later, whose parsers know it.

    Raises:
        ExportError: If a tensor's type is unknown.
    """
    _convert(model, BF16)
    for owner in (model, *model.functions):
        for entry in owner.opset_import:
            if not entry.domain:
                entry.version = max(entry.version, BF16_OPSET)
    model.ir_version = max(model.ir_version, _BF16_IR_VERSION)
    return model


def _convert(model: ModelProto, half: HalfType) -> ModelProto:
    index = GraphIndex.of(model.graph)
    around = Surroundings(index, half.largest)
    conversion = _Conversion(model, tensor_types(model), index, half, around)
    nodes = [new for node in model.graph.node for new in conversion.convert(node)]
    nodes.extend(conversion.restore_outputs(nodes))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    conversion.finish()
    return sort_nodes(model)


@dataclass
class _Conversion:
    """The state of one conversion.

    Attributes:
        model: The model being changed.
        types: Tensor types before the conversion.
        index: Constants and readers before the conversion.
        half: The type to convert to.
        around: What the rules look at.
        halved: Computed tensors that are half by now.
        twins: Name of the half (single) version of a tensor that exists as the other.
    """

    model: ModelProto
    types: dict[str, TensorType]
    index: GraphIndex
    half: HalfType
    around: Surroundings
    halved: set[str] = field(default_factory=set)
    twins: dict[tuple[str, int], str] = field(default_factory=dict)

    def convert(self, original: NodeProto) -> Iterator[NodeProto]:
        """Yield the casts that a node needs, then the node itself."""
        node = NodeProto()
        node.CopyFrom(original)
        is_half = rule_of(self.around, node) is None
        kind = self.half.elem_type if is_half else FLOAT
        if is_half and node.op_type in _SCALED:
            self._raise_scale(node)
        for i, name in enumerate(node.input):
            if not self._is_float(name):
                continue
            wanted = FLOAT if i in _FLOAT_OPERANDS.get(node.op_type, ()) else kind
            node.input[i], cast = self._as_kind(name, wanted)
            if cast is not None:
                yield cast
        if is_half:
            _halve_attributes(node, self.half)
            self.halved.update(name for name in node.output if self._is_float(name))
        yield node

    def restore_outputs(self, nodes: list[NodeProto]) -> Iterator[NodeProto]:
        """Yield casts that give the graph's outputs their single precision back."""
        for value in self.model.graph.output:
            if value.name not in self.halved:
                continue
            half = f"{value.name}/half"
            for node in nodes:
                for names in (node.input, node.output):
                    for i, name in enumerate(names):
                        names[i] = half if name == value.name else name
            yield helper.make_node("Cast", [half], [value.name], name=f"{half}/Cast", to=FLOAT)

    def finish(self) -> None:
        """Correct the type notes and drop the constants that nothing reads any more."""
        graph = self.model.graph
        for value in graph.value_info:
            if value.name in self.halved:
                value.type.tensor_type.elem_type = self.half.elem_type
        used = {name for node in graph.node for name in node.input}
        used.update(value.name for value in graph.output)
        for tensor in [t for t in graph.initializer if t.name not in used]:
            graph.initializer.remove(tensor)

    def _is_float(self, name: str) -> bool:
        if not name:
            return False
        if name not in self.types:
            raise ExportError(f"the type of tensor {name!r} is unknown; expected a typed graph")
        return bool(self.types[name].elem_type == FLOAT)

    def _as_kind(self, name: str, kind: int) -> tuple[str, NodeProto | None]:
        """Return the name under which a tensor is available as ``kind``, and the cast it needs."""
        is_half = kind == self.half.elem_type
        if (name in self.halved) == is_half:
            return name, None
        if (name, kind) in self.twins:
            return self.twins[name, kind], None
        twin = f"{name}/{'half' if is_half else 'float'}"
        self.twins[name, kind] = twin
        if name in self.index.initializers:
            tensor = _halve_tensor(self.index.initializers[name], twin, self.half)
            self.model.graph.initializer.append(tensor)
            return twin, None
        return twin, helper.make_node("Cast", [name], [twin], name=f"{twin}/Cast", to=kind)

    def _raise_scale(self, node: NodeProto) -> None:
        """Lift scales below half's normal range; stored INT8 weights are rounded to the new one."""
        scale = self.index.constant(node.input[1])
        if scale is None or scale.min() >= self.half.smallest:
            return
        raised = np.maximum(scale, np.float32(self.half.smallest))
        if node.input[0] in self.index.initializers:
            node.input[0] = self._requantize(node, scale / raised)
        name = f"{node.input[1]}/raised"
        if name not in self.types:
            tensor = numpy_helper.from_array(raised, name)
            self.types[name] = TensorType(FLOAT, tuple(raised.shape))
            self.index.initializers[name] = tensor
        node.input[1] = name

    def _requantize(self, node: NodeProto, ratio: np.ndarray) -> str:
        """Store INT8 weights again for scales that grew by ``1 / ratio``."""
        tensor = self.index.initializers[node.input[0]]
        weight = numpy_helper.to_array(tensor)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if i == axis else 1 for i in range(weight.ndim)] if ratio.ndim else []
        name = f"{tensor.name}/raised"
        values = np.rint(weight * ratio.reshape(shape)).astype(weight.dtype)
        self.model.graph.initializer.append(numpy_helper.from_array(values, name))
        self.types[name] = TensorType(tensor.data_type, tuple(tensor.dims))
        return name


def _check_opset(model: ModelProto) -> None:
    version = max(entry.version for entry in model.opset_import if not entry.domain)
    if version < OPSET and any(node.op_type in _SCALED for node in model.graph.node):
        raise ExportError(
            f"the graph has opset {version}; half-precision scales need {OPSET} or later; "
            "export it again"
        )


def _halve_tensor(tensor: TensorProto, name: str, half: HalfType) -> TensorProto:
    """Return a constant in half precision under another name."""
    value = numpy_helper.to_array(tensor)
    if (largest := largest_of(value)) > half.largest:  # an initializer would have met a rule
        raise ExportError(
            f"constant {tensor.name!r} of a node reaches {largest:.4g}; {half.name} ends at "
            f"{half.largest:.4g}; use --precision fp32"
        )
    return numpy_helper.from_array(value.astype(half.dtype), name)


def _halve_attributes(node: NodeProto, half: HalfType) -> None:
    """Turn a node's float tensors and its request to produce floats into half."""
    for entry in node.attribute:
        if entry.type == AttributeProto.TENSOR and entry.t.data_type == FLOAT:
            entry.t.CopyFrom(_halve_tensor(entry.t, entry.t.name, half))
        elif node.op_type == "Cast" and entry.name == "to" and entry.i == FLOAT:
            entry.i = half.elem_type
