"""What a file asks for, what an engine runs, and the refusal of anything in between."""

from __future__ import annotations

import pytest
from onnx import ModelProto

from calibration.insert_qdq import insert_qdq
from calibration.quantize_rules import plan_quantization
from export.engine_report import EngineReport, Layer
from export.precision import convert_to_bf16, convert_to_fp16
from export.precision_proof import (
    PrecisionPlan,
    check_engine_precision,
    check_plan,
    plan_precision,
    rule_counts,
    spoken_counts,
)
from export.precision_rules import note_float_convolutions
from runtime.errors import BuildError
from tests.calibration.tiny_network import make_tiny_network


def quantized(noted: bool = True) -> ModelProto:
    model = make_tiny_network()
    plan = plan_quantization(model)
    insert_qdq(model, plan, dict.fromkeys(plan.observed(), 1.0))
    if noted:
        note_float_convolutions(model, {d.node: d.rule for d in plan.decisions if not d.int8})
    return model


def test_what_files_ask_for() -> None:
    assert spoken_counts(plan_precision(make_tiny_network())) == "convolutions: 11 FP32"
    half = plan_precision(convert_to_fp16(make_tiny_network()))
    assert spoken_counts(half) == "convolutions: 11 FP16"
    bf16 = plan_precision(convert_to_bf16(make_tiny_network()))
    assert spoken_counts(bf16) == "convolutions: 11 BF16"
    int8 = plan_precision(quantized())
    assert spoken_counts(int8) == "convolutions: 9 INT8, 2 FP32"
    assert rule_counts(int8) == "stem 1, last 1"
    int8_on_half = plan_precision(convert_to_fp16(quantized()))
    assert spoken_counts(int8_on_half) == "convolutions: 9 INT8, 2 FP16"


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (make_tiny_network(), "fp32"),
        (quantized(), "int8"),
        (quantized(), "fp32"),  # asked for nothing less
        (convert_to_fp16(quantized(noted=False)), "int8"),
        (convert_to_fp16(make_tiny_network()), "fp16"),
        (convert_to_bf16(make_tiny_network()), "bf16"),
    ],
)
def test_files_that_ask_for_their_precision(model: ModelProto, precision: str) -> None:
    check_plan(plan_precision(model), precision)


@pytest.mark.parametrize(
    ("model", "precision", "message"),
    [
        (make_tiny_network(), "int8", "no INT8 convolution .*calibration.calibrate"),
        (make_tiny_network(), "fp16", "no FP16 convolution .*PRECISION=fp16"),
        (convert_to_fp16(make_tiny_network()), "bf16", "no BF16 convolution"),
        (
            quantized(noted=False),
            "int8",
            r"leaves 2 convolutions in FP32 without a rule \(stem/Conv, head",
        ),
    ],
)
def test_files_that_do_not(model: ModelProto, precision: str, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        check_plan(plan_precision(model), precision)


def engine(**types: str) -> EngineReport:
    """Return an engine of convolutions by name; two underscores stand for a slash."""
    layers = (Layer("conv", n.replace("__", "/"), (t,), (t,), t) for n, t in types.items())
    return EngineReport(tuple(layers))


STEM = PrecisionPlan({"stem/Conv": "float", "a/Conv": "int8"}, {"stem/Conv": "stem"})
NONE = PrecisionPlan({"stem/Conv": "half", "a/Conv": "half"}, {"stem/Conv": "", "a/Conv": ""})


@pytest.mark.parametrize(
    ("plan", "precision", "report"),
    [
        (NONE, "fp16", engine(a__Conv="half")),
        (STEM, "int8", engine(a__Conv="int8", stem__Conv="float")),
        (STEM, "int8", engine(a__Conv="int8", stem__Conv_U7="float")),
        (STEM, "int8", EngineReport((*engine(a__Conv="int8").layers,))),
        (STEM, "fp32", engine(a__Conv="float")),
    ],
)
def test_engines_that_keep_the_promise(
    plan: PrecisionPlan, precision: str, report: EngineReport
) -> None:
    check_engine_precision(plan, report, precision)


@pytest.mark.parametrize(
    ("plan", "precision", "report", "message"),
    [
        (NONE, "fp16", engine(a__Conv="float"), "no FP16 convolution"),
        (NONE, "fp16", engine(a__Conv="half", b="float"), r"FP32 that no rule .*\(b; .*no rule"),
        (NONE, "fp16", engine(), r"no FP16 convolution \(convolutions: none\)"),
        (STEM, "int8", engine(a__Conv="half"), r"no INT8 .*7\.5"),
        (STEM, "int8", engine(a__Conv="int8", b__Conv="float"), r"\(b/Conv; .*stem 1"),
        (STEM, "int8", engine(a__Conv="int8", xstem__Conv="float"), r"\(xstem/Conv;"),
        (STEM, "int8", engine(a__Conv="int8", stem__Conv_1_U7="float"), r"\(stem/Conv_1_U7;"),
    ],
)
def test_engines_that_do_not(
    plan: PrecisionPlan, precision: str, report: EngineReport, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        check_engine_precision(plan, report, precision)


@pytest.mark.parametrize(("plan", "good"), [(STEM, True), (NONE, False)])
def test_kernels_that_name_no_node_need_an_exception(plan: PrecisionPlan, good: bool) -> None:
    precision = "int8" if good else "fp16"
    kind = "int8" if good else "half"
    layers = (
        Layer("conv", "a/Conv", (kind,), (kind,), kind),
        Layer("fusion", "__myl_CorrAdd", ("float",), ("float",), "float"),
    )
    if good:
        check_engine_precision(plan, EngineReport(layers), precision)
    else:
        with pytest.raises(BuildError, match="__myl_CorrAdd"):
            check_engine_precision(plan, EngineReport(layers), precision)
