"""Why a node stays in single precision when the rest of its graph becomes half.

Each reason is one rule with a name; the export prints how many nodes each kept, and the build
accepts single-precision convolutions only where a rule, of this file or of the calibration, names
them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from export.onnx_graph import GraphIndex, module_of, tensor_types

# The largest finite half.
LARGEST_HALF = 65504.0
# Key of the model's metadata under which the calibration notes its exceptions.
_CONVOLUTIONS_KEY = "cornerrt.float_convolutions"
# How precision.py names the casts that join both precisions.
_JOINING_CASTS = ("/half/Cast", "/float/Cast")
# Operators that compare scores in the decoder.
_PEAK_OPERATORS = ("Sigmoid", "MaxPool", "Equal", "Where")
# Modules of the wrapper whose scores are compared, there or by whoever reads them.
_PEAK_MODULES = ("decode", "attention")


@dataclass(frozen=True)
class Surroundings:
    """What the rules look at besides the node.

    Attributes:
        index: Constants of the graph.
        largest: The largest number that the half type holds.
    """

    index: GraphIndex
    largest: float = LARGEST_HALF


@dataclass(frozen=True)
class FloatRule:
    """One reason for a node to stay in single precision.

    Attributes:
        name: Short name for reports.
        reason: Why, for people.
        keeps_float: Says whether the rule holds for a node.
    """

    name: str
    reason: str
    keeps_float: Callable[[Surroundings, NodeProto], bool]


@dataclass(frozen=True)
class KeptNode:
    """A node that stays in single precision, and the rule that keeps it."""

    node: str
    op_type: str
    rule: str
    reason: str


def _is_normalisation(_: Surroundings, node: NodeProto) -> bool:
    return _root(node) == "normalise"


def _is_top_k(_: Surroundings, node: NodeProto) -> bool:
    return bool(node.op_type == "TopK")


def _is_corner_decode(_: Surroundings, node: NodeProto) -> bool:
    return bool(node.op_type == "CornerDecode")


def _is_peak_test(_: Surroundings, node: NodeProto) -> bool:
    return _root(node) in _PEAK_MODULES and node.op_type in _PEAK_OPERATORS


def _is_decoding(_: Surroundings, node: NodeProto) -> bool:
    return _root(node) == "decode"


def _leaves_range(around: Surroundings, node: NodeProto) -> bool:
    constants = (around.index.constant(name) for name in node.input)
    return any(largest_of(value) > around.largest for value in constants if value is not None)


# The first rule that holds decides. The modules are those of export/wrapper.py.
FLOAT_RULES: tuple[FloatRule, ...] = (
    FloatRule(
        "normalise", "pixels are scaled by constants that half cannot hold", _is_normalisation
    ),
    FloatRule("top-k", "half gives distinct scores the same value, so indices change", _is_top_k),
    FloatRule("corner-decode", "the operator takes single-precision maps", _is_corner_decode),
    FloatRule(
        "peaks", "near 1, half's steps let a peak's neighbours count as peaks too", _is_peak_test
    ),
    FloatRule(
        "decode", "coordinates from 2048 and embedding distances meet half's steps", _is_decoding
    ),
    FloatRule("range", "a constant is larger than the half type holds", _leaves_range),
)


def rule_of(around: Surroundings, node: NodeProto) -> FloatRule | None:
    """Return the rule that keeps a node in single precision, None if it may become half."""
    return next((rule for rule in FLOAT_RULES if rule.keeps_float(around, node)), None)


def kept_nodes(model: ModelProto, largest: float = LARGEST_HALF) -> tuple[KeptNode, ...]:
    """List the nodes that stay in single precision.

    Nodes without float tensors do not count, nor do the casts that a conversion adds.

    Args:
        model: Before or after its conversion.
        largest: The largest number that the half type holds.
    """
    around = Surroundings(GraphIndex.of(model.graph), largest)
    types = tensor_types(model)
    floats = {name for name, kind in types.items() if kind.elem_type == TensorProto.FLOAT}
    kept = []
    for node in model.graph.node:
        rule = None if node.name.endswith(_JOINING_CASTS) else rule_of(around, node)
        if rule is not None and not floats.isdisjoint((*node.input, *node.output)):
            kept.append(KeptNode(node.name, node.op_type, rule.name, rule.reason))
    return tuple(kept)


def count_line(kept: Iterable[KeptNode]) -> str:
    """Return how many nodes each rule kept, as a clause for people."""
    counts = Counter(node.rule for node in kept)
    total = sum(counts.values())
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{total} nodes stay FP32 ({parts})" if total else "no node stays FP32"


def explain(kept: Iterable[KeptNode]) -> str:
    """Return a table: one line per node that stays in single precision."""
    rows = tuple(kept)
    width = max((len(row.node) for row in rows), default=0)
    return "\n".join(f"FP32  {row.node:{width}s}  {row.rule}: {row.reason}" for row in rows)


def largest_of(value: np.ndarray) -> float:
    """Return the largest finite magnitude of a single-precision constant, 0 for other types."""
    if value.dtype != np.float32:
        return 0.0
    return float(np.abs(value[np.isfinite(value)]).max(initial=0.0))


def note_float_convolutions(model: ModelProto, rules: Mapping[str, str]) -> ModelProto:
    """Write into a model which convolutions were left float on purpose, for the build's check.

    Args:
        model: Changed in place.
        rules: Name of the rule by name of the convolution.

    Returns:
        The same model.
    """
    helper.set_model_props(
        model,
        {entry.key: entry.value for entry in model.metadata_props}
        | {_CONVOLUTIONS_KEY: json.dumps(dict(rules), sort_keys=True)},
    )
    return model


def noted_float_convolutions(model: ModelProto) -> dict[str, str]:
    """Return what ``note_float_convolutions`` wrote; empty for a model without the note."""
    for entry in model.metadata_props:
        if entry.key == _CONVOLUTIONS_KEY:
            noted: dict[str, str] = json.loads(entry.value)
            return noted
    return {}


def _root(node: NodeProto) -> str:
    """Return the outermost module that a node belongs to."""
    return module_of(node).split(".")[0]
