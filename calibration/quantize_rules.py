"""Which convolutions run in INT8, which stay float, and which tensors are quantized for them.

The placement is what TensorRT fuses best: quantize on the inputs of convolutions, never between a
convolution and its ReLU; every reader that can use the quantized tensor (the next convolution,
the residual addition, pooling, upsampling) reads the same one; of an addition's branches, one
stays as the convolution wrote it, so that the addition fuses into that convolution.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from onnx import ModelProto, NodeProto

from export.functions import is_corner_pool
from export.onnx_graph import GraphIndex, attribute
from runtime.errors import CalibrationError, UsageError

CONVOLUTIONS = ("Conv", "ConvTranspose")

# Integer convolution kernels work on groups of 16 channels or more and pad smaller ones.
FEWEST_CHANNELS = 16


@dataclass(frozen=True)
class Placement:
    """What the user and the target say about where INT8 may go.

    Attributes:
        exclude: Names of convolutions that stay float; None keeps none.
        keep_float: Further convolutions that stay float, by their exact names; the accuracy gate
            and sensitivity choose them.
        quantize_transposed: Whether ConvTranspose may run in INT8.
    """

    exclude: re.Pattern[str] | None = None
    keep_float: frozenset[str] = frozenset()
    quantize_transposed: bool = False


# No wish of the user or the target.
EVERYWHERE = Placement()


@dataclass(frozen=True)
class Network:
    """What the rules look at.

    Attributes:
        index: Producers, consumers and constants.
        feeds_convolution: Tensors that a convolution depends on.
        placement: What the user and the target say.
    """

    index: GraphIndex
    feeds_convolution: frozenset[str]
    placement: Placement = EVERYWHERE

    def weight_shape(self, node: NodeProto) -> tuple[int, ...]:
        """Return the shape of a convolution's constant weights, () if they are computed."""
        weights = self.index.initializers.get(node.input[1])
        return () if weights is None else tuple(weights.dims)


@dataclass(frozen=True)
class Rule:
    """One reason for a convolution to stay in float.

    Attributes:
        name: Short name for reports.
        reason: Why, for people.
        keeps_float: Says whether the rule holds for a convolution.
    """

    name: str
    reason: str
    keeps_float: Callable[[Network, NodeProto], bool]


@dataclass(frozen=True)
class Decision:
    """What happens to one convolution, and why."""

    node: str
    op_type: str
    int8: bool
    rule: str
    reason: str


@dataclass
class QuantizationPlan:
    """Everything that the insertion of quantize and dequantize nodes needs.

    Attributes:
        decisions: One per convolution, in graph order.
        convolutions: First output of every convolution that runs in INT8.
        readers: Tensor to quantize -> first outputs of the nodes that read it quantized.
        grid_of: Tensor -> the tensor whose scale it shares, because only maxima or copies lie
            between them.
        float_branches: Branches of additions that stay float; a target that adds in INT8 needs
            their ranges.
    """

    decisions: tuple[Decision, ...]
    convolutions: frozenset[str]
    readers: dict[str, set[str]] = field(default_factory=dict)
    grid_of: dict[str, str] = field(default_factory=dict)
    float_branches: set[str] = field(default_factory=set)

    def observed(self) -> list[str]:
        """Return the tensors whose ranges are needed, each once."""
        names = [self.grid_of.get(name, name) for name in self.readers]
        return list(dict.fromkeys([*names, *sorted(self.float_branches)]))


def _excluded(network: Network, node: NodeProto) -> bool:
    exclude = network.placement.exclude
    return exclude is not None and exclude.search(label(node)) is not None


def _kept(network: Network, node: NodeProto) -> bool:
    return label(node) in network.placement.keep_float


def _computed_weights(network: Network, node: NodeProto) -> bool:
    return not network.weight_shape(node)


def _is_last(network: Network, node: NodeProto) -> bool:
    return node.output[0] not in network.feeds_convolution


def _is_stem(network: Network, node: NodeProto) -> bool:
    shape = network.weight_shape(node)
    return node.op_type == "Conv" and shape[1] < 4 and attribute(node, "group", 1) == 1


def _is_transposed(network: Network, node: NodeProto) -> bool:
    return node.op_type == "ConvTranspose" and not network.placement.quantize_transposed


def _is_depthwise(network: Network, node: NodeProto) -> bool:
    group = attribute(node, "group", 1)
    return isinstance(group, int) and group > 1 and network.weight_shape(node)[1] < 4


def _is_narrow(network: Network, node: NodeProto) -> bool:
    return min(network.weight_shape(node)[:2]) < FEWEST_CHANNELS


# The first rule that holds decides.
FLOAT_RULES: tuple[Rule, ...] = (
    Rule("excluded", "its name matches --exclude", _excluded),
    Rule("sensitive", "INT8 in it costs too much accuracy", _kept),
    Rule("weights", "its weights are computed, not constant", _computed_weights),
    Rule(
        "last", "it writes a head's prediction: no later convolution averages the error", _is_last
    ),
    Rule(
        "stem", "it reads the image: three channels waste integer units and cost nothing", _is_stem
    ),
    Rule("transposed", "TensorRT-RTX runs it in half around extra conversions", _is_transposed),
    Rule("depthwise", "engines pad its groups to several times the work", _is_depthwise),
    Rule("narrow", f"fewer than {FEWEST_CHANNELS} channels are padded, not faster", _is_narrow),
)


def label(node: NodeProto) -> str:
    """Return a node's name, or its first output where it has none."""
    return str(node.name or node.output[0])


def compile_exclude(pattern: str | None) -> re.Pattern[str] | None:
    """Compile the user's regular expression.

    Raises:
        UsageError: If it is not one.
    """
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--exclude got {pattern!r} ({error}); expected a regular expression over node names"
        ) from None


def plan_quantization(model: ModelProto, placement: Placement = EVERYWHERE) -> QuantizationPlan:
    """Decide about every convolution and every tensor between them.

    Args:
        model: A float model.
        placement: Which convolutions may run in INT8.

    Raises:
        CalibrationError: If the model is quantized already, or no convolution may run in INT8.
    """
    nodes = list(model.graph.node)
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in nodes):
        raise CalibrationError(
            "the model has quantize nodes already; expected a float model; give the FP32 export"
        )
    convolutions = [node for node in nodes if node.op_type in CONVOLUTIONS]
    feeding = _upstream(nodes, (node.input[0] for node in convolutions))
    network = Network(GraphIndex.of(model.graph), feeding, placement)
    decisions = tuple(_decide(network, node) for node in convolutions)
    chosen = [n for n, decision in zip(convolutions, decisions, strict=True) if decision.int8]
    if not chosen:
        raise CalibrationError(
            f"none of {len(convolutions)} convolutions may run in INT8 "
            f"({', '.join(dict.fromkeys(d.rule for d in decisions))}); expected at least one; "
            "check --exclude and the model"
        )
    plan = QuantizationPlan(decisions, frozenset(node.output[0] for node in chosen))
    _place(nodes, network.index, chosen, plan)
    return plan


def _decide(network: Network, node: NodeProto) -> Decision:
    for rule in FLOAT_RULES:
        if rule.keeps_float(network, node):
            return Decision(label(node), node.op_type, False, rule.name, rule.reason)
    return Decision(label(node), node.op_type, True, "int8", "constant weights inside the network")


def _place(
    nodes: list[NodeProto], index: GraphIndex, chosen: list[NodeProto], plan: QuantizationPlan
) -> None:
    """Fill in which tensors are quantized, who reads them so, and which share a scale."""
    inside = _upstream(nodes, (n.input[0] for n in chosen)) & _downstream(
        nodes, (n.output[0] for n in chosen)
    )
    for node in chosen:
        plan.readers.setdefault(node.input[0], set()).add(node.output[0])
    for node in nodes:
        if node.output[0] in inside and keeps_grid(node) and node.input[0] in inside:
            plan.readers.setdefault(node.input[0], set()).add(node.output[0])
            source = node.input[0]
            plan.grid_of[node.output[0]] = plan.grid_of.get(source, source)
    for node in nodes:
        if node.op_type == "Add" and node.output[0] in inside:
            _place_addition(node, index, plan)


def _place_addition(node: NodeProto, index: GraphIndex, plan: QuantizationPlan) -> None:
    """Let an addition read what is quantized anyway; quantize one of two float branches."""
    branches = [name for name in node.input if name not in index.initializers]
    quantized = [name for name in branches if name in plan.readers]
    on_grid = [name for name in branches if name in plan.grid_of]
    if len(branches) == 2 and plan.convolutions.issuperset(branches):
        # Fused into the first convolution, the addition needs the other branch (this family's
        # skip path) from memory: as INT8 that is half the traffic.
        quantized = branches[1:]
    for name in quantized:
        plan.readers.setdefault(name, set()).add(node.output[0])
    plan.float_branches.update(set(branches) - set(quantized) - set(on_grid))


def keeps_grid(node: NodeProto) -> bool:
    """Say whether a node only copies or takes maxima, so that INT8 values stay exact."""
    if node.op_type == "Resize":
        return bool(attribute(node, "mode", b"nearest") == b"nearest")
    return bool(node.op_type == "MaxPool" or is_corner_pool(node))


def _upstream(nodes: list[NodeProto], ends: Iterable[str]) -> frozenset[str]:
    """Return every tensor that one of ``ends`` depends on, these included."""
    found = set(ends)
    for node in reversed(nodes):
        if not found.isdisjoint(node.output):
            found.update(node.input)
    return frozenset(found)


def _downstream(nodes: list[NodeProto], starts: Iterable[str]) -> frozenset[str]:
    """Return every tensor that depends on one of ``starts``, these included."""
    found = set(starts)
    for node in nodes:
        if not found.isdisjoint(node.input):
            found.update(node.output)
    return frozenset(found)
