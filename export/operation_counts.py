"""How much arithmetic every node of a graph asks for, from shapes alone.

Multiply-adds of convolutions and matrix products, which tensor cores do, are counted apart from all
other operations, which they do not. A convolution is counted as it is defined; that a runtime may
transform it (Winograd) or skip zeros is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from onnx import NodeProto

from export.decode_function import is_corner_decode
from export.functions import is_corner_pool
from export.onnx_graph import attribute
from export.roofline_graph import SizedGraph
from plugins.reference import WALKS

# Bilinear: three interpolations of a multiply, a subtraction and an addition. Bicubic: 16 products
# and their sum. Nearest: a copy.
_RESIZE_OPERATIONS = {"nearest": 0, "linear": 9, "cubic": 31}
# Of decoding, per value of a heatmap beside the window's maximum: sigmoid, comparison with the
# maximum, choice, and one comparison of the search for the best.
_DECODE_PER_VALUE = 4
# Per pair of corners: distance of embeddings (2) and its test, class, order of x and y (4), mean
# score (2), choice, and one comparison of the search for the best.
_DECODE_PER_PAIR = 12


@dataclass(frozen=True)
class Operations:
    """What one node, layer or network computes.

    Attributes:
        multiply_adds: Pairs of a multiplication and an addition in convolutions and matrix
            products; a datasheet counts each as two operations.
        others: Comparisons, additions and all else, one for each value made; a sigmoid counts as
            one.
    """

    multiply_adds: int = 0
    others: int = 0

    def __add__(self, other: Operations) -> Operations:
        """Return both together."""
        return Operations(self.multiply_adds + other.multiply_adds, self.others + other.others)


def count_operations(node: NodeProto, graph: SizedGraph) -> Operations | None:
    """Return what a node computes; None if its operator is not known here.

    Raises:
        ArtifactError: If the size of one of its tensors is not known.
    """
    if is_corner_pool(node):
        return Operations(others=_corner_pool(node, graph))
    if is_corner_decode(node):
        return Operations(others=_corner_decode(node, graph))
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in _MULTIPLY_ADDS:
        samples = _samples(node, graph) if node.op_type == "DeformConv" else 0
        return Operations(_MULTIPLY_ADDS[node.op_type](node, graph), samples)
    if node.op_type in _OTHERS:
        return Operations(others=_OTHERS[node.op_type](node, graph))
    return Operations() if node.op_type in FREE else None


def _convolution(node: NodeProto, graph: SizedGraph) -> int:
    # Weights (outputs, inputs / groups, kernel): each output value sees that many inputs.
    return _made(node, graph) * prod(graph.tensor(node.input[1]).shape[1:])


def _transposed_convolution(node: NodeProto, graph: SizedGraph) -> int:
    # Weights (inputs, outputs / groups, kernel): each input value goes to that many outputs.
    return graph.tensor(node.input[0]).elements * prod(graph.tensor(node.input[1]).shape[1:])


def _samples(node: NodeProto, graph: SizedGraph) -> int:
    """Return the interpolations of a deformable convolution: each place, tap and channel."""
    batch, _, *places = graph.tensor(node.output[0]).shape
    channels = graph.tensor(node.input[0]).shape[1]
    taps = prod(graph.tensor(node.input[1]).shape[2:])
    return batch * prod(places) * taps * channels * _RESIZE_OPERATIONS["linear"]


def _matrix_product(node: NodeProto, graph: SizedGraph) -> int:
    return _made(node, graph) * graph.tensor(node.input[0]).shape[-1]


def _general_matrix_product(node: NodeProto, graph: SizedGraph) -> int:
    inner: int = graph.tensor(node.input[0]).shape[0 if attribute(node, "transA", 0) else 1]
    return _made(node, graph) * inner


def _window(node: NodeProto, graph: SizedGraph) -> int:
    """Return the operations of pooling: all but the first value of each window."""
    window: int = prod(attribute(node, "kernel_shape"))
    return _made(node, graph) * (window - 1)


def _resize(node: NodeProto, graph: SizedGraph) -> int:
    mode = attribute(node, "mode", b"nearest").decode()
    return _made(node, graph) * _RESIZE_OPERATIONS[mode]


def _made(node: NodeProto, graph: SizedGraph) -> int:
    """Return the values that a node makes."""
    return graph.tensor(node.output[0]).elements


def _taken(node: NodeProto, graph: SizedGraph) -> int:
    """Return the values that a node looks at."""
    return graph.tensor(node.input[0]).elements


def _each_operand(node: NodeProto, graph: SizedGraph) -> int:
    return _made(node, graph) * (len(node.input) - 1)


def _corner_pool(node: NodeProto, graph: SizedGraph) -> int:
    """Return the comparisons of running maxima: all cells but the first of each line."""
    tensor = graph.tensor(node.input[0])
    axis = WALKS[attribute(node, "direction").decode()].axis
    length = tensor.shape[axis]
    return tensor.elements // length * (length - 1)


def _corner_decode(node: NodeProto, graph: SizedGraph) -> int:
    window = attribute(node, "nms_kernel") ** 2 - 1
    values = sum(graph.tensor(name).elements for name in node.input[:2])
    pairs = graph.tensor(node.input[0]).shape[0] * attribute(node, "top_k") ** 2
    return int(values * (window + _DECODE_PER_VALUE) + pairs * _DECODE_PER_PAIR)


_Count = Callable[[NodeProto, SizedGraph], int]
_MULTIPLY_ADDS: dict[str, _Count] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DeformConv": _convolution,
    "MatMul": _matrix_product,
    "Gemm": _general_matrix_product,
}
# One operation for each value made, from operands at the same place.
POINTWISE = frozenset(
    {"Abs", "Add", "And", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor"}
    | {"Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "LeakyRelu", "Less"}
    | {
        "LessOrEqual",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
    }
    | {"Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt", "Sub"}
    | {"Sum", "Tanh", "Where", "Xor", "BatchNormalization"}
)
# A change of type as a layer's result is written or read: not counted.
CONVERSIONS = frozenset({"Cast", "QuantizeLinear"})
# Another way to look at the same bytes, if the layers around it are told where to look.
VIEWS = frozenset(
    {"DequantizeLinear", "Dropout", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Split"}
    | {"Squeeze", "Transpose", "Unsqueeze", "Concat", "DepthToSpace", "SpaceToDepth"}
)
# They move values and compute none.
INDEXED = frozenset({"Gather", "GatherElements", "GatherND"})
FREE = (
    CONVERSIONS | VIEWS | INDEXED | {"Constant", "ConstantOfShape", "Pad", "Range", "Shape", "Tile"}
)
_OTHERS: dict[str, _Count] = {
    **dict.fromkeys(POINTWISE - {"Max", "Min", "Sum", "Mean", "BatchNormalization"}, _made),
    **dict.fromkeys(("Max", "Min", "Sum", "Mean"), _each_operand),
    "BatchNormalization": lambda node, graph: 2 * _made(node, graph),
    **dict.fromkeys(("MaxPool", "AveragePool"), _window),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "TopK", "ArgMax", "ArgMin"), _taken),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceProd"), _taken),
    "Softmax": lambda node, graph: 3 * _made(node, graph),
    "Resize": _resize,
}
