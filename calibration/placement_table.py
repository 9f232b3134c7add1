"""What ``--explain`` prints: for every node why it is INT8 or not, and how many are."""

from __future__ import annotations

from collections import Counter

from calibration.placement_rules import CONVOLUTIONS, NODE_RULES
from calibration.quantize_rules import Decision, QuantizationPlan

# Operators with a line per node; all others are counted.
LISTED = (*CONVOLUTIONS, *NODE_RULES)


def explain_plan(plan: QuantizationPlan) -> str:
    """Return a table with a line per node that could be INT8, and one per kind of all others.

    The last line counts INT8 nodes by operator. A pooling, upsampling, concatenation or addition
    counts if it reads quantized tensors.
    """
    decisions = (*plan.decisions, *plan.other_decisions)
    listed = [decision for decision in decisions if decision.op_type in LISTED]
    others = Counter(
        (decision.op_type, decision.rule, decision.reason)
        for decision in decisions
        if decision.op_type not in LISTED
    )
    width = max(len(decision.node) for decision in listed)
    lines = [
        f"{'INT8 ' if d.int8 else 'float'}  {d.node:{width}s}  {d.rule}: {d.reason}" for d in listed
    ]
    lines += [
        f"float  {f'{count} x {kind}':{width}s}  {rule}: {reason}"
        for (kind, rule, reason), count in others.items()
    ]
    return "\n".join([*lines, count_int8(listed)])


def count_int8(decisions: list[Decision]) -> str:
    """Return how many nodes of each operator are INT8, as a line for people."""
    totals = Counter(decision.op_type for decision in decisions)
    int8 = Counter(decision.op_type for decision in decisions if decision.int8)
    parts = (f"{int8[kind]} of {totals[kind]} {kind}" for kind in LISTED if totals[kind])
    return f"INT8: {', '.join(parts)}"
