"""Build for TensorRT-RTX ahead of time: no GPU needed, the engine runs on every GPU it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from export.engine_report import EngineReport, read_engine
from export.functions import CornerPoolForm, inline_corner_pool
from export.onnx_graph import load_model
from runtime.atomic_file import replace_when_done
from runtime.errors import BuildError
from runtime.trt_module import TensorRTModule, load_tensorrt_rtx

# Ampere, Ada and Blackwell desktop GPUs; all at once cost little more than one.
DEFAULT_CAPABILITIES = ("8.6", "8.9", "12.0")


@dataclass(frozen=True)
class RtxOptions:
    """What an engine is built for.

    Attributes:
        compute_capabilities: GPUs, such as "8.6".
        max_batch: Largest batch, for models whose batch is dynamic.
    """

    compute_capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    max_batch: int = 1


@dataclass(frozen=True)
class RtxBuild:
    """What came out.

    Attributes:
        size_bytes: Size of the engine.
        layers: Layers of the parsed network, before fusion.
        report: The engine's kernels, over all GPUs.
    """

    size_bytes: int
    layers: int
    report: EngineReport

    def summary(self) -> str:
        """Return one line for people, the same in every build of the same model."""
        kinds = {"INT8": "int8", "FP16": "half", "FP32": "float"}
        counts = ", ".join(f"{self.report.convolutions(t)} {name}" for name, t in kinds.items())
        return (
            f"{self.layers} layers, {len(self.report.kernels)} kernels; convolution kernels: "
            f"{counts}"
        )


def build_tensorrt_rtx(source: Path, out: Path, precision: str, options: RtxOptions) -> RtxBuild:
    """Compile a portable ONNX file.

    The network is strongly typed: its precision is what the file says. ``CornerPool`` nodes are
    replaced by one MaxPool each, which the compiler runs in INT8 or half without changing the
    layout.

    Args:
        source: The portable model.
        out: Where the engine goes; written completely or not at all.
        precision: What the contract of ``source`` says: "fp32", "fp16" or "int8".
        options: GPUs and batch size.

    Raises:
        ArtifactError: If ``source`` is missing, truncated or not ONNX.
        BackendError: If TensorRT-RTX is not installed.
        BuildError: If it refuses the model, or the engine runs in another precision.
    """
    trt = load_tensorrt_rtx()
    model = inline_corner_pool(load_model(source), CornerPoolForm.MAX_POOL)
    builder = _Compiler(trt, options)
    engine, layers = builder.compile(model)
    build = RtxBuild(len(engine), layers, read_engine(engine))
    check_precision(build, precision)
    with replace_when_done(out) as partial:
        partial.write_bytes(engine)
    return build


def check_precision(build: RtxBuild, precision: str) -> None:
    """Refuse an engine that runs in another precision than its contract says.

    Raises:
        BuildError: If an INT8 engine has no INT8 convolution, or an FP16 one a float convolution.
    """
    report = build.report
    if precision == "int8" and not report.convolutions("int8"):
        raise BuildError(
            f"the INT8 engine has no INT8 convolution ({build.summary()}); expected quantize and "
            "dequantize nodes around convolutions, and no GPU of capability 7.5 alone; calibrate "
            "again: python -m calibration.calibrate"
        )
    if precision == "fp16" and (report.convolutions("float") or not report.convolutions("half")):
        raise BuildError(
            f"the FP16 engine has float convolutions or no half ones ({build.summary()}); expected "
            "half alone; export again with PRECISION=fp16"
        )


class _Compiler:
    """One compilation; keeps TensorRT's objects alive as long as they need each other."""

    def __init__(self, trt: TensorRTModule, options: RtxOptions) -> None:
        self._trt = trt.api
        self._version = trt.version
        self._options = options
        self._errors: list[str] = []
        self._logger = _collecting_logger(self._trt, self._errors)
        self._builder = self._trt.Builder(self._logger)

    def compile(self, model: ModelProto) -> tuple[bytes, int]:
        """Return the engine and the number of layers before fusion."""
        network = self._parse(model)
        engine = self._builder.build_serialized_network(network, self._config(network))
        if engine is None:
            raise BuildError(
                f"TensorRT-RTX {self._version} could not build the engine ({self._reasons()}); "
                "expected a graph of operators that it implements"
            )
        return bytes(engine), network.num_layers

    def _parse(self, model: ModelProto) -> Any:
        flag = self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        network = self._builder.create_network(1 << int(flag))
        parser = self._trt.OnnxParser(network, self._logger)
        if not parser.parse(model.SerializeToString()):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            reasons = "; ".join(f"{e.node_name() or 'model'}: {e.desc()}" for e in errors)
            raise BuildError(
                f"TensorRT-RTX {self._version} cannot read the model ({reasons}); expected ONNX "
                "operators that it supports; export it again"
            )
        return network

    def _config(self, network: Any) -> Any:
        config = self._builder.create_builder_config()
        # The engine then names its kernels and tensors, which is how its precision is checked.
        config.profiling_verbosity = self._trt.ProfilingVerbosity.DETAILED
        capabilities = [self._capability(name) for name in self._options.compute_capabilities]
        config.num_compute_capabilities = len(capabilities)
        for i, capability in enumerate(capabilities):
            config.set_compute_capability(capability, i)
        config.add_optimization_profile(self._profile(network))
        return config

    def _capability(self, name: str) -> Any:
        known = self._trt.ComputeCapability.__members__
        key = f"SM{name.replace('.', '')}"
        if not re.fullmatch(r"\d+\.\d", name) or key not in known:
            supported = ", ".join(f"{k[2:-1]}.{k[-1]}" for k in known if re.fullmatch(r"SM\d+", k))
            raise BuildError(
                f"compute capability {name!r} is not one that TensorRT-RTX {self._version} builds "
                f"for; expected some of {supported}"
            )
        return known[key]

    def _profile(self, network: Any) -> Any:
        """Return the range of input shapes: batch 1 to the largest, all else as in the model."""
        profile = self._builder.create_optimization_profile()
        for tensor in (network.get_input(i) for i in range(network.num_inputs)):
            shape = tuple(tensor.shape)
            if -1 in shape[1:]:
                raise BuildError(
                    f"input {tensor.name} has shape {shape}; expected only the batch to be "
                    "dynamic; export it again: python -m export.export_onnx"
                )
            batches = (1, self._options.max_batch) if shape[0] == -1 else (shape[0],) * 2
            smallest, largest = ((batch, *shape[1:]) for batch in batches)
            profile.set_shape(tensor.name, smallest, largest, largest)
        return profile

    def _reasons(self) -> str:
        return "; ".join(dict.fromkeys(self._errors)) or "it gave no reason"


def _collecting_logger(trt: Any, errors: list[str]) -> Any:
    """Return a logger that appends errors to a list and drops everything else."""

    class CollectingLogger(trt.ILogger):  # type: ignore[misc]  # known only once trt is loaded
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            if severity.value <= trt.ILogger.Severity.ERROR.value:
                errors.append(message.strip())

    return CollectingLogger()
