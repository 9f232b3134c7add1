"""How much work runs in INT8: multiply-adds of convolutions, from shapes alone.

A model of speed that needs no device: integer units of GPUs and processors do two to four times as
many multiply-adds per second as half-precision ones. What a device makes of it, it must measure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

from onnx import ModelProto, NodeProto, TensorProto

from calibration.placement_rules import CONVOLUTIONS
from calibration.quantize_rules import QuantizationPlan, label
from export.onnx_graph import TensorType, tensor_types
from runtime.errors import CalibrationError


@dataclass(frozen=True)
class OperationShare:
    """The modelled operations of a quantized model.

    Attributes:
        total: Multiply-adds of all convolutions, for one image.
        int8: Those of them in INT8.
        convolutions: Number of convolutions in INT8.
    """

    total: int
    int8: int
    convolutions: int

    @property
    def percent(self) -> float:
        """Multiply-adds in INT8, of a hundred."""
        return 100 * self.int8 / self.total if self.total else 0.0


def multiply_adds(model: ModelProto) -> dict[str, int]:
    """Return the multiply-adds of every convolution for one image, by its name.

    Args:
        model: A float model with constant weights; its batch may be dynamic.

    Raises:
        CalibrationError: If the size of a convolution's tensors is not known.
    """
    types = tensor_types(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        label(node): _multiply_adds(node, types, weights)
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS
    }


def operation_share(operations: Mapping[str, int], int8: Collection[str]) -> OperationShare:
    """Return how much of the work is in INT8.

    Args:
        operations: Multiply-adds of every convolution, by its name.
        int8: Names of the convolutions in INT8.
    """
    return OperationShare(sum(operations.values()), sum(operations[n] for n in int8), len(int8))


def share_of_plan(operations: Mapping[str, int], plan: QuantizationPlan) -> OperationShare:
    """Return how much of the work a plan puts into INT8."""
    return operation_share(operations, [d.node for d in plan.decisions if d.int8])


def _multiply_adds(
    node: NodeProto, types: Mapping[str, TensorType], weights: Mapping[str, TensorProto]
) -> int:
    # Every output of a convolution, and every input of a transposed one, meets a kernel's worth of
    # weights for each channel on the other side; dims[1] is that number, less the groups.
    tensor = node.output[0] if node.op_type == "Conv" else node.input[0]
    shape = types[tensor].shape[1:] if tensor in types else ()
    sizes = [size for size in shape if isinstance(size, int)]
    if node.input[1] not in weights or not shape or len(sizes) < len(shape):
        raise CalibrationError(
            f"the size of convolution {label(node)!r} is unknown; expected constant weights and a "
            "fixed image size, to count its operations; export it again"
        )
    kernel: list[int] = list(weights[node.input[1]].dims[1:])
    return prod(sizes) * prod(kernel)
