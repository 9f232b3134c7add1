"""Which of the nodes between INT8 convolutions read quantized tensors, and which share a scale.

The placement is what engines fuse best: quantize on the inputs of convolutions, never between a
convolution and its ReLU; every reader that can use a quantized tensor (the next convolution, the
residual addition, pooling, upsampling) reads the same one; of an addition's branches, one stays as
the convolution wrote it, so that the addition fuses into that convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from onnx import NodeProto

from calibration.int8_region import Region, Target
from export.functions import CORNER_POOL, is_corner_pool
from export.onnx_graph import attribute

CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class NodeRule:
    """One reason for a node to read quantized tensors, or not to.

    Attributes:
        name: Short name for reports.
        reason: Why, for people.
        holds: Says whether the rule holds for a node.
        place: Notes which tensors are quantized for a node, and which share a scale; None for a
            node that reads floats.
    """

    name: str
    reason: str
    holds: Callable[[Region, NodeProto], bool]
    place: Callable[[Region, NodeProto], None] | None = None


def _always(region: Region, node: NodeProto) -> bool:
    return True


def _is_on_rtx(region: Region, node: NodeProto) -> bool:
    return region.target is Target.TENSORRT_RTX


def _is_outside(region: Region, node: NodeProto) -> bool:
    return node.output[0] not in region.inside


def _interpolates(region: Region, node: NodeProto) -> bool:
    return not keeps_grid(node)


def _is_added_on_rtx(region: Region, node: NodeProto) -> bool:
    readers = region.index.consumers[node.output[0]]
    is_added = node.op_type == "Resize" and all(reader.op_type == "Add" for reader in readers)
    return is_added and _is_on_rtx(region, node)


def _place_copy(region: Region, node: NodeProto) -> None:
    region.quantize(node.input[0], node)
    region.share_scale(node.output[0], node.input[0])


def _joins_constants(region: Region, node: NodeProto) -> bool:
    return len(region.branches(node)) < len(node.input)


def _joins_floats(region: Region, node: NodeProto) -> bool:
    return all(_is_from_float_convolution(region, name) for name in node.input)


def _is_from_float_convolution(region: Region, tensor: str) -> bool:
    maker = region.index.producers.get(tensor)
    if maker is not None and maker.op_type == "Relu":
        maker = region.index.producers.get(maker.input[0])
    if maker is None or region.is_int8(tensor):
        return False
    return maker.op_type in CONVOLUTIONS and maker.output[0] not in region.convolutions


def _joins_other_scales(region: Region, node: NodeProto) -> bool:
    scales = {region.scale_of(name) for name in node.input}
    return any(
        scale in scales and region.index.producers[name].op_type == "Concat"
        for name, scale in region.grid_of.items()
    )


def _place_concatenation(region: Region, node: NodeProto) -> None:
    """Give all inputs the scale of the result.

    Where a ReLU follows that is quantized, its scale serves: rounding commutes with a ReLU, so the
    integers are those of quantizing behind it alone.
    """
    result = node.output[0]
    after = region.index.only_consumer(result)
    scale = result
    if after is not None and after.op_type == "Relu" and after.output[0] in region.readers:
        scale = after.output[0]
    region.share_scale(result, scale)
    for name in node.input:
        region.quantize(name, node)
        region.share_scale(name, scale)


def _reads_quantized(region: Region, node: NodeProto) -> bool:
    return any(name in region.readers for name in node.input)


def _place_quantized_branches(region: Region, node: NodeProto) -> None:
    for name in region.branches(node):
        if name in region.readers:
            region.quantize(name, node)


def _reads_copy(region: Region, node: NodeProto) -> bool:
    return any(name in region.grid_of for name in node.input)


def _leave_branches(region: Region, node: NodeProto) -> None:
    """Add a copy, which is on its grid already, to a float."""


def _adds_convolutions(region: Region, node: NodeProto) -> bool:
    branches = region.branches(node)
    return len(branches) == 2 and region.convolutions.issuperset(branches)


def _adds_convolutions_on_rtx(region: Region, node: NodeProto) -> bool:
    return _is_on_rtx(region, node) and _adds_convolutions(region, node)


def _place_second_branch(region: Region, node: NodeProto) -> None:
    # The first branch is this family's residual path, the second its skip path.
    region.quantize(region.branches(node)[1], node)


OUTSIDE = NodeRule("outside", "it is not between INT8 convolutions", _is_outside)
# In each table the first rule that holds decides.
COPY_RULES: tuple[NodeRule, ...] = (
    OUTSIDE,
    NodeRule("interpolation", "it computes values between those of the grid", _interpolates),
    NodeRule("rtx-added", "TensorRT-RTX adds, upsampling floats in that kernel", _is_added_on_rtx),
    NodeRule("copies", "copies and maxima of integers are exact", _always, _place_copy),
)
CONCAT_RULES: tuple[NodeRule, ...] = (
    OUTSIDE,
    NodeRule("joined-constants", "one of its inputs is constant", _joins_constants),
    NodeRule("joined-floats", "all its inputs are results of float convolutions", _joins_floats),
    NodeRule("joined-scales", "an input is on another concatenation's scale", _joins_other_scales),
    NodeRule("rtx-joined", "TensorRT-RTX joins floats in the kernel that quantizes", _is_on_rtx),
    NodeRule("one-scale", "on one scale, integers are joined", _always, _place_concatenation),
)
ADD_RULES: tuple[NodeRule, ...] = (
    OUTSIDE,
    NodeRule(
        "skip",
        "it reads what is quantized for others; the other branch is as its convolution wrote it",
        _reads_quantized,
        _place_quantized_branches,
    ),
    NodeRule("copied", "one branch is a copy of a quantized tensor", _reads_copy, _leave_branches),
    NodeRule(
        "rtx-projection",
        "convolutions of TensorRT-RTX write floats: a quantized branch loses accuracy for nothing",
        _adds_convolutions_on_rtx,
    ),
    NodeRule(
        "projection",
        "fused into the first convolution, it reads the second's result: in INT8 half the traffic",
        _adds_convolutions,
        _place_second_branch,
    ),
    NodeRule("float-branches", "no other INT8 kernel reads one of its branches", _always),
)
NODE_RULES: Mapping[str, tuple[NodeRule, ...]] = MappingProxyType(
    {
        "MaxPool": COPY_RULES,
        CORNER_POOL: COPY_RULES,
        "Resize": COPY_RULES,
        "Concat": CONCAT_RULES,
        "Add": ADD_RULES,
    }
)
# Copies first; additions read what is quantized for others, so they come last.
_ORDER = (COPY_RULES, CONCAT_RULES, ADD_RULES)


def place_nodes(region: Region, nodes: Sequence[NodeProto]) -> dict[str, NodeRule]:
    """Decide about pooling, upsampling, concatenations and additions.

    Args:
        region: What is decided is written into it.
        nodes: Of the graph, in order.

    Returns:
        The rule that decided, by the node's first output.
    """
    found = {}
    for rules in _ORDER:
        for node in nodes:
            if NODE_RULES.get(node.op_type) is not rules:
                continue
            rule = next(rule for rule in rules if rule.holds(region, node))
            found[node.output[0]] = rule
            if rule.place is not None:
                rule.place(region, node)
            if rule is not OUTSIDE:
                region.float_branches.update(_float_tensors(region, node, rule))
    return found


def _float_tensors(region: Region, node: NodeProto, rule: NodeRule) -> list[str]:
    """Return the tensors of an addition or concatenation that another target may quantize."""
    if node.op_type == "Concat" and rule.place is None:
        return [node.output[0]]
    if node.op_type != "Add":
        return []
    return [
        name
        for name in region.branches(node)
        if node.output[0] not in region.readers.get(name, ()) and name not in region.grid_of
    ]


def keeps_grid(node: NodeProto) -> bool:
    """Say whether a node only copies or takes maxima, so that INT8 values stay exact."""
    if node.op_type == "Resize":
        return bool(attribute(node, "mode", b"nearest") == b"nearest")
    return bool(node.op_type == "MaxPool" or is_corner_pool(node))
