"""Models in memory as ONNX Runtime sessions that compute what a target would.

A model with an FP16 base has no kernels on processors. Its twin with an FP32 base has the same
scales and integer weights, so that one is measured in its place; what half precision adds between
the integers is not in the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import onnxruntime
from onnx import ModelProto, ValueInfoProto

from calibration.int8_region import Target
from export.builder_onnxruntime import ORT_ERRORS, PROVIDERS
from export.decode_function import inline_corner_decode
from export.int8_on_cpu import prepare_int8
from export.upsample_on_cpu import split_transposed_convolutions
from runtime.errors import CalibrationError

# Targets that run a file as it is written.
GPU_TARGETS = (Target.TENSORRT, Target.TENSORRT_RTX)


class Form(Enum):
    """How a quantized model is computed."""

    # As written: rounded to integers, dequantized, convolved in float. Engines of GPUs compute the
    # same, up to the order of additions.
    PORTABLE = "portable"
    # As the build for ONNX Runtime rewrites it: more tensors are quantized, kernels are integer.
    ONNXRUNTIME = "onnxruntime"


def form_for(target: Target, base: str) -> Form:
    """Return how a quantized model runs where it is meant to; an FP16 base is for GPUs.

    A portable one is measured in integer kernels: they round more tensors than GPUs do.
    """
    return Form.PORTABLE if base == "fp16" or target in GPU_TARGETS else Form.ONNXRUNTIME


def is_quantized(model: ModelProto) -> bool:
    """Say whether a model has quantize nodes."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def run_error(error: Exception) -> CalibrationError:
    """Return what to tell people when ONNX Runtime opened a model and could not run it."""
    return CalibrationError(
        f"ONNX Runtime {onnxruntime.__version__} could not run the model ({_line(error)}); "
        "expected one with input uint8 [N, H, W, 3]; export it again"
    )


def open_session(
    model: ModelProto, form: Form, outputs: Sequence[str] = (), threads: int = 0
) -> onnxruntime.InferenceSession:
    """Open a float or quantized model with an FP32 base.

    Args:
        model: Not modified.
        form: How it is computed; a float model is the same in both.
        outputs: Tensors to return in place of the model's outputs; what lies behind is not run.
        threads: CPU threads; 0 for all cores.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model.
    """
    opened = ModelProto()
    opened.CopyFrom(model)
    if form is Form.ONNXRUNTIME and is_quantized(model):
        opened = prepare_int8(split_transposed_convolutions(inline_corner_decode(opened)))
    if outputs:
        del opened.graph.output[:]
        opened.graph.output.extend(ValueInfoProto(name=name) for name in outputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: removing unused nodes is what we want
    options.intra_op_num_threads = threads
    if form is Form.PORTABLE:  # no integer kernels; weights are dequantized once
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(
            opened.SerializeToString(), options, providers=PROVIDERS
        )
    except ORT_ERRORS as error:
        raise CalibrationError(
            f"ONNX Runtime {onnxruntime.__version__} refused the model "
            f"({_line(error)}); expected one with an FP32 base; "
            "calibrate with --base fp32 to measure it here"
        ) from error


def _line(error: Exception) -> str:
    """Return an error's beginning as one line."""
    return " ".join(str(error).split())[:300]
