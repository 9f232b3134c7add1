"""Proof that an engine runs in the precision that its model asks for.

TensorRT may fall back to FP32 without a word. What the ONNX file asks of each convolution is
compared with what the built engine says it runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto

from export.engine_report import EngineReport
from export.onnx_graph import GraphIndex, tensor_types
from export.precision_rules import Surroundings, noted_float_convolutions, rule_of
from runtime.errors import BuildError

CONVOLUTIONS = ("Conv", "ConvTranspose")
_TYPES = {
    TensorProto.FLOAT: "float",
    TensorProto.FLOAT16: "half",
    TensorProto.BFLOAT16: "bf16",
}
# By precision of the request: the type that convolutions must have in the engine.
_WANTED = {"fp16": "half", "bf16": "bf16", "int8": "int8"}
# How names begin that TensorRT's compiler invents.
_ANONYMOUS = "__my"
# How reports and messages write number types.
SPOKEN = {"int8": "INT8", "half": "FP16", "bf16": "BF16", "float": "FP32"}


@dataclass(frozen=True)
class PrecisionPlan:
    """What an ONNX file asks for.

    Attributes:
        types: Number type of every convolution, by name: "int8" between quantize and dequantize.
        rules: Name of the rule that keeps a convolution out of the request's precision, by its
            name; "" where none does.
    """

    types: Mapping[str, str]
    rules: Mapping[str, str]

    def convolutions(self, number_type: str) -> list[str]:
        """Return the names of the convolutions in ``number_type``."""
        return [name for name, kind in self.types.items() if kind == number_type]


def plan_precision(model: ModelProto) -> PrecisionPlan:
    """Read from a portable model what it asks of every convolution.

    Raises:
        BuildError: If the type of a convolution is unknown.
    """
    index, types = GraphIndex.of(model.graph), tensor_types(model)
    around, noted = Surroundings(index), noted_float_convolutions(model)
    asked, rules = {}, {}
    for node in (node for node in model.graph.node if node.op_type in CONVOLUTIONS):
        name = str(node.name or node.output[0])
        if _is_quantized(index, node):
            asked[name] = "int8"
            continue
        kind = types[node.output[0]].elem_type if node.output[0] in types else None
        if kind not in _TYPES:
            raise BuildError(
                f"the type of convolution {name!r} is unknown; expected a typed graph; export it "
                "again"
            )
        asked[name] = _TYPES[kind]
        rule = rule_of(around, node)
        rules[name] = noted.get(name, rule.name if rule else "")
    return PrecisionPlan(asked, rules)


def check_plan(plan: PrecisionPlan, precision: str) -> None:
    """Refuse a model whose file does not ask for the precision of its contract.

    Args:
        plan: What the file asks for.
        precision: What its contract says: "fp32", "fp16", "bf16" or "int8".

    Raises:
        BuildError: If nothing asks for it, or a convolution is FP32 and no rule says why.
    """
    if precision not in _WANTED:
        return
    wanted = _WANTED[precision]
    title = SPOKEN[wanted]
    if not plan.convolutions(wanted):
        raise BuildError(
            f"the {title} model has no {title} convolution ({spoken_counts(plan)}); expected "
            f"{_remedy(precision)}"
        )
    unexplained = [name for name in plan.convolutions("float") if not plan.rules[name]]
    if unexplained:
        raise BuildError(
            f"the {title} model leaves {len(unexplained)} convolutions in FP32 without a rule "
            f"({', '.join(unexplained[:3])}{' ...' if len(unexplained) > 3 else ''}); expected "
            f"{_remedy(precision)}"
        )


def check_engine_precision(plan: PrecisionPlan, report: EngineReport, precision: str) -> None:
    """Refuse an engine that runs in another precision than was asked for.

    Raises:
        BuildError: If an engine of less than FP32 has no convolution in its type, or runs one in
            FP32 that no rule keeps there.
    """
    if precision not in _WANTED:
        return
    title, counts = SPOKEN[_WANTED[precision]], spoken_types(report.convolution_types())
    if not report.convolutions(_WANTED[precision]):
        hint = "; a GPU of compute capability 7.5 has none" if precision == "int8" else ""
        raise BuildError(
            f"the {title} engine has no {title} convolution (convolutions: {counts}); expected "
            f"{_remedy(precision)}{hint}"
        )
    allowed = plan.convolutions("float")
    floats = [layer.name for layer in report.layers if layer.convolves_in == "float"]
    if strays := [name for name in floats if not _is_allowed(name, allowed)]:
        rules = rule_counts(plan) or "no rule keeps any"
        raise BuildError(
            f"the {title} engine runs {len(strays)} convolutions in FP32 that no rule keeps there "
            f"({', '.join(strays[:3])}{' ...' if len(strays) > 3 else ''}; {counts}; {rules}); "
            f"expected {_remedy(precision)}"
        )


def _is_allowed(layer: str, allowed: list[str]) -> bool:
    """Say whether an FP32 kernel is that of an exception.

    Fused kernels that TensorRT names by itself say nothing of their nodes: they pass where there
    are exceptions at all. An ahead-of-time engine has them beside the kernel of the node.
    """
    if layer.startswith(_ANONYMOUS):
        return bool(allowed)
    # TensorRT-RTX adds a number to the node's name.
    names = (rf"(?<![\w./]){re.escape(name)}(_U\d+)?(?![\w./])" for name in allowed)
    return any(re.search(name, layer) for name in names)


def spoken_counts(plan: PrecisionPlan) -> str:
    """Return how many convolutions a file asks for in each type, as a clause."""
    return f"convolutions: {spoken_types(Counter(plan.types.values()))}"


def spoken_types(counts: Mapping[str, int]) -> str:
    """Return numbers of convolutions by type, as a clause: "46 INT8, 7 FP16"."""
    known = [f"{counts[kind]} {name}" for kind, name in SPOKEN.items() if counts.get(kind)]
    other = sum(count for kind, count in counts.items() if kind not in SPOKEN)
    return ", ".join(known + [f"{other} of unknown type"] * bool(other)) or "none"


def rule_counts(plan: PrecisionPlan) -> str:
    """Return how many convolutions each rule keeps out of the request's precision."""
    counts = Counter(rule for rule in plan.rules.values() if rule)
    return ", ".join(f"{rule} {count}" for rule, count in counts.items())


def _is_quantized(index: GraphIndex, node: NodeProto) -> bool:
    """Say whether features and weights of a convolution are both dequantized for it."""
    makers = [index.producers.get(name) for name in node.input[:2]]
    return all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers)


def _remedy(precision: str) -> str:
    if precision == "int8":
        return (
            "quantize and dequantize nodes around convolutions; calibrate again: "
            "python -m calibration.calibrate"
        )
    return f"{SPOKEN[_WANTED[precision]]} weights; export again with PRECISION={precision}"
