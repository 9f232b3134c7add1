"""Build for ONNX Runtime: optimise once, offline, and prove that INT8 stayed INT8.

The graph is saved at the "extended" level: every fusion that holds on any processor. What depends
on the processor (blocked layouts) ONNX Runtime adds in milliseconds when the file is opened, so
one file serves them all; saving at the highest level was no faster to run.
"""

from __future__ import annotations

import platform
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state

from export.decode_function import inline_corner_decode
from export.int8_on_cpu import prepare_int8
from export.onnx_graph import GraphIndex, attribute, load_model, save_model
from export.upsample_on_cpu import split_transposed_convolutions
from runtime.errors import BuildError

# ONNX Runtime's exceptions share no base of their own.
ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    value
    for value in vars(onnxruntime_pybind11_state).values()
    if isinstance(value, type) and issubclass(value, Exception)
)
PROVIDERS = ["CPUExecutionProvider"]
FLOAT_CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose")


@dataclass(frozen=True)
class OnnxRuntimeBuild:
    """What the optimised graph consists of.

    Attributes:
        nodes: Number of nodes.
        int8_convolutions: Convolutions that read and write 8-bit integers.
        half_convolutions: Convolutions with half-precision weights.
        float_convolutions: All other convolutions.
    """

    nodes: int
    int8_convolutions: int
    half_convolutions: int
    float_convolutions: int

    def summary(self) -> str:
        """Return one line for people."""
        return (
            f"{self.nodes} nodes; convolutions: {self.int8_convolutions} INT8, "
            f"{self.half_convolutions} FP16, {self.float_convolutions} FP32"
        )


def build_onnxruntime(source: Path, out: Path, precision: str) -> OnnxRuntimeBuild:
    """Optimise a portable ONNX file for ONNX Runtime on processors.

    Args:
        source: The portable model.
        out: Where the optimised model goes; written completely or not at all.
        precision: What the contract of ``source`` says: "fp32", "fp16" or "int8".

    Raises:
        ArtifactError: If ``source`` is missing, truncated or not ONNX.
        BuildError: If ONNX Runtime refuses the model, or would run it in another precision.
    """
    # ONNX Runtime would inline decoding as well, but give its nodes names that profiles cannot use.
    model = split_transposed_convolutions(inline_corner_decode(load_model(source)))
    if precision == "int8":
        _refuse_half_scales(model)
        model = prepare_int8(model)
    optimised = fold_constant_dequantize(_optimise(model))
    build = describe(optimised)
    check_precision(build, precision)
    _open(optimised.SerializeToString(), onnxruntime.SessionOptions())
    save_model(optimised, out)
    return build


def describe(model: ModelProto) -> OnnxRuntimeBuild:
    """Count what an optimised graph runs, by the element type of the convolutions' weights."""
    constants = GraphIndex.of(model.graph).initializers
    kinds = Counter(node.op_type for node in model.graph.node)
    weights = [
        constants.get(n.input[1]) for n in model.graph.node if n.op_type in FLOAT_CONVOLUTIONS
    ]
    half = sum(w is not None and w.data_type == TensorProto.FLOAT16 for w in weights)
    return OnnxRuntimeBuild(len(model.graph.node), kinds["QLinearConv"], half, len(weights) - half)


def check_precision(build: OnnxRuntimeBuild, precision: str) -> None:
    """Refuse a build that would silently run in another precision than its contract says.

    Raises:
        BuildError: If an INT8 build has no INT8 convolution, or an FP16 build no FP16 one.
    """
    if precision == "int8" and not build.int8_convolutions:
        raise BuildError(
            f"the INT8 build has no INT8 convolution ({build.summary()}); expected quantize and "
            "dequantize nodes around convolutions; make the file with python -m "
            "calibration.calibrate"
        )
    if precision == "fp16" and not build.half_convolutions:
        raise BuildError(
            f"ONNX Runtime {onnxruntime.__version__} has no FP16 convolution on this processor "
            f"({platform.machine()}) and would run in FP32 ({build.summary()}); use PRECISION=fp32 "
            "or int8 here, or build FP16 for a GPU: TARGET=tensorrt-rtx"
        )


def fold_constant_dequantize(model: ModelProto) -> ModelProto:
    """Replace ``DequantizeLinear`` of constants by the float values they give; in place.

    ONNX Runtime leaves these for weights of convolutions that it could not fuse, and would
    compute them for every frame.
    """
    index = GraphIndex.of(model.graph)
    folded = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in index.initializers
    ]
    for node in folded:
        values = _dequantize(node, index)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)
    read = {name for node in model.graph.node for name in node.input}
    unread = [t for node in folded for t in node.input if t and t not in read]
    for name in dict.fromkeys(unread):
        model.graph.initializer.remove(index.initializers[name])
    return model


def _refuse_half_scales(model: ModelProto) -> None:
    """Refuse an INT8 model whose rest is half: ONNX Runtime has no such kernels on processors."""
    constants = GraphIndex.of(model.graph).initializers
    quantize = (node for node in model.graph.node if node.op_type == "QuantizeLinear")
    if any(constants[node.input[1]].data_type == TensorProto.FLOAT16 for node in quantize):
        raise BuildError(
            "the INT8 model has an FP16 base, which only GPUs run; expected an FP32 base for "
            "target onnxruntime; calibrate with --base fp32, or build with TARGET=tensorrt-rtx"
        )


def _dequantize(node: NodeProto, index: GraphIndex) -> np.ndarray:
    """Return what a ``DequantizeLinear`` of constants computes, in the type of its scale."""
    quantized, scale, *zero_point = (
        numpy_helper.to_array(index.initializers[n]) for n in node.input
    )
    shape = [1] * quantized.ndim
    if scale.ndim:
        axis = attribute(node, "axis", 1)
        assert isinstance(axis, int)
        shape[axis] = -1
    steps = quantized.astype(np.float32)
    if zero_point:
        steps -= zero_point[0].astype(np.float32).reshape(shape)
    return np.asarray((steps * scale.reshape(shape)).astype(scale.dtype))


def _optimise(model: ModelProto) -> ModelProto:
    """Return the model after ONNX Runtime's processor-independent optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        _open(model.SerializeToString(), options)
        return onnx.load(path)


def _open(model: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(model, options, providers=PROVIDERS)
    except ORT_ERRORS as error:
        raise BuildError(
            f"ONNX Runtime {onnxruntime.__version__} refused the model "
            f"({' '.join(str(error).split())[:300]}); export it again"
        ) from None
