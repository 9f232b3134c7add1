"""Which convolutions run in INT8 and which stay float, and with them the plan of a whole graph.

Every convolution meets one rule of this file, every node between convolutions one of
placement_rules.py: both have a name and a reason, which ``--explain`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from onnx import ModelProto, NodeProto

from calibration.int8_region import Region, Target, upstream
from calibration.placement_rules import CONVOLUTIONS, NodeRule, place_nodes
from export.onnx_graph import GraphIndex, attribute
from runtime.errors import CalibrationError, UsageError

# What is said of nodes that no rule is about: rule and reason.
FUSED = ("fused", "it runs in the kernel of the node before it")
OTHER = ("other", "it is no part of the network that is quantized, or has no INT8 form")

# Targets that have INT8 kernels for them and gain by it.
TRANSPOSED_IN_INT8 = (Target.TENSORRT,)
DEPTHWISE_IN_INT8 = (Target.ONNXRUNTIME, Target.TENSORRT)

# Integer convolution kernels work on groups of 16 channels or more and pad smaller ones.
FEWEST_CHANNELS = 16


@dataclass(frozen=True)
class Placement:
    """What the user and the target say about where INT8 may go.

    Attributes:
        exclude: Names of convolutions that stay float; None keeps none.
        keep_float: Further convolutions that stay float, by their exact names; the accuracy gate
            and sensitivity choose them.
        target: What the file is meant for.
    """

    exclude: re.Pattern[str] | None = None
    keep_float: frozenset[str] = frozenset()
    target: Target = Target.PORTABLE


# No wish of the user, for every target.
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
    """What happens to one node, and why.

    Attributes:
        node: Its name.
        op_type: Its operator.
        int8: Whether it runs in INT8; an addition does if it reads a quantized branch.
        rule: Name of the rule that decided.
        reason: Why, for people.
    """

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
            between them, or because a concatenation joins them.
        float_branches: Branches of additions and results of concatenations that stay float; a
            target or a plan that quantizes them needs their ranges.
        other_decisions: One per node that is no convolution, in graph order.
    """

    decisions: tuple[Decision, ...]
    convolutions: frozenset[str]
    readers: dict[str, set[str]] = field(default_factory=dict)
    grid_of: dict[str, str] = field(default_factory=dict)
    float_branches: set[str] = field(default_factory=set)
    other_decisions: tuple[Decision, ...] = ()

    def observed(self) -> list[str]:
        """Return the tensors whose ranges are needed, each once."""
        names = [self.grid_of.get(name, name) for name in self.readers]
        return list(dict.fromkeys([*names, *sorted(self.float_branches)]))

    def observable(self) -> list[str]:
        """Return the tensors whose ranges this plan needs, or one with less in INT8.

        A tensor that shares a scale needs its own range where the other one stays float.
        """
        return list(dict.fromkeys([*self.observed(), *self.readers, *self.grid_of]))


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
    return node.op_type == "ConvTranspose" and network.placement.target not in TRANSPOSED_IN_INT8


def _is_depthwise(network: Network, node: NodeProto) -> bool:
    return _has_small_groups(network, node) and network.placement.target not in DEPTHWISE_IN_INT8


def _is_narrow(network: Network, node: NodeProto) -> bool:
    shape = network.weight_shape(node)
    counts = shape[:1] if _has_small_groups(network, node) else shape[:2]
    return min(counts) < FEWEST_CHANNELS


def _has_small_groups(network: Network, node: NodeProto) -> bool:
    group = attribute(node, "group", 1)
    return isinstance(group, int) and group > 1 and network.weight_shape(node)[1] < 4


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
    Rule("transposed", "only the full TensorRT runs it in INT8: --target tensorrt", _is_transposed),
    Rule("depthwise", "TensorRT-RTX pads its groups to four times the work", _is_depthwise),
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
    feeding = upstream(nodes, (node.input[0] for node in convolutions))
    network = Network(GraphIndex.of(model.graph), feeding, placement)
    decisions = tuple(_decide(network, node) for node in convolutions)
    chosen = [n for n, decision in zip(convolutions, decisions, strict=True) if decision.int8]
    if not chosen:
        raise CalibrationError(
            f"none of {len(convolutions)} convolutions may run in INT8 "
            f"({', '.join(dict.fromkeys(d.rule for d in decisions))}); expected at least one; "
            "check --exclude and the model"
        )
    region = Region.around(network.index, placement.target, nodes, chosen)
    rules = place_nodes(region, nodes)
    others = [node for node in nodes if node.op_type not in CONVOLUTIONS]
    return QuantizationPlan(
        decisions,
        region.convolutions,
        region.readers,
        region.grid_of,
        region.float_branches,
        tuple(_decide_other(node, rules) for node in others),
    )


def _decide(network: Network, node: NodeProto) -> Decision:
    for rule in FLOAT_RULES:
        if rule.keeps_float(network, node):
            return Decision(label(node), node.op_type, False, rule.name, rule.reason)
    return Decision(label(node), node.op_type, True, "int8", "constant weights inside the network")


def _decide_other(node: NodeProto, rules: dict[str, NodeRule]) -> Decision:
    rule = rules.get(node.output[0])
    if rule is None:
        name, reason = FUSED if node.op_type == "Relu" else OTHER
        return Decision(label(node), node.op_type, False, name, reason)
    return Decision(label(node), node.op_type, rule.place is not None, rule.name, rule.reason)
