"""Build an engine with the full TensorRT on its GPU, or with TensorRT-RTX ahead of time.

What differs between the two products is here: where the engine may run, and how its precision is
proved. Everything else is tensorrt_compiler.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.engine_report import EngineReport, read_engine, read_inspector
from export.onnx_graph import load_model
from export.plugin_choice import PluginChoice, choose_plugins
from export.precision_proof import (
    PrecisionPlan,
    check_engine_precision,
    check_plan,
    plan_precision,
    rule_counts,
    spoken_types,
)
from export.tensorrt_compiler import Compilation, Compiler
from export.tensorrt_options import DEFAULT_CAPABILITIES, TensorRTOptions, check_options
from runtime.errors import BuildError
from runtime.manifest import parse_header
from runtime.trt_module import Gpu, TensorRTModule, find_gpu, load_product


@dataclass(frozen=True)
class TensorRTBuild:
    """What came out.

    Attributes:
        size_bytes: Size of the engine.
        version: Of the product, as the engine's header says it.
        compute_capabilities: GPUs that it was built for.
        gpu_name: The GPU it was built on, None for a build ahead of time.
        plan: What the model asked of each convolution.
        network: The layers of the parsed network, before fusion.
        report: The engine's layers or kernels, after fusion.
        plugins: Which plugins it calls.
    """

    size_bytes: int
    version: str
    compute_capabilities: tuple[str, ...]
    gpu_name: str | None
    plan: PrecisionPlan
    network: EngineReport
    report: EngineReport
    plugins: PluginChoice

    def summary(self) -> str:
        """Return one line for people, the same in every build of the same model."""
        counts = spoken_types(self.report.convolution_types())
        rules = rule_counts(self.plan)
        parts = [
            f"for compute capability {', '.join(self.compute_capabilities)}",
            f"{len(self.network.layers)} layers, {len(self.report.layers)} kernels",
            f"convolution kernels: {counts}" + (f" (kept by rule: {rules})" if rules else ""),
            self.plugins.remark,
        ]
        return "; ".join(part for part in parts if part)

    def explain(self) -> str:
        """Return tables of layers by kind and number type, and every exception with its rule."""
        kept = [f"{name}  {rule}" for name, rule in self.plan.rules.items() if rule]
        tables = [
            "parsed network, layers by type and precision:",
            self.network.table(),
            "engine, kernels by type and precision:",
            self.report.table(),
        ]
        return "\n".join([*tables, "convolutions kept by rule:", *kept] if kept else tables)


def build_tensorrt(
    source: Path, out: Path, precision: str, target: str, options: TensorRTOptions
) -> TensorRTBuild:
    """Compile a portable ONNX file.

    The network is strongly typed: its precision is what the file says, and afterwards the engine
    is read to prove it.

    Args:
        source: The portable model.
        out: Where the engine goes; not written when the build fails.
        precision: What the contract of ``source`` says.
        target: "tensorrt" or "tensorrt-rtx".
        options: How to build.

    Raises:
        ArtifactError: If ``source`` is missing, truncated or not ONNX.
        UsageError: If the target does not know an option.
        BackendError: If the target is not installed.
        BuildError: If there is no GPU to build on, TensorRT refuses the model, or the engine runs
            in another precision.
        ExportError: If a custom node has neither plugin nor fixed size.
    """
    check_options(options, target)
    trt = load_product(target)
    gpu = _building_gpu(target)
    model = load_model(source)
    plan = plan_precision(model)
    check_plan(plan, precision)
    if gpu is None:
        capabilities = options.compute_capabilities or DEFAULT_CAPABILITIES
        options = replace(options, compute_capabilities=capabilities)
    compiler = Compiler(trt, options)
    plugins = choose_plugins(model, trt.api, compiler.logger, options, precision)
    made = compiler.compile(model)
    report = _report_of(made, trt, compiler.logger, options)
    check_engine_precision(plan, report, precision)
    out.write_bytes(made.engine)
    return TensorRTBuild(
        size_bytes=len(made.engine),
        version=parse_header(made.engine[:64]).version,
        compute_capabilities=(gpu.compute_capability,) if gpu else options.compute_capabilities,
        gpu_name=gpu.name if gpu else None,
        plan=plan,
        network=made.network,
        report=report,
        plugins=plugins,
    )


def _building_gpu(target: str) -> Gpu | None:
    """Return the GPU that an engine is built on and for, None for a build ahead of time."""
    if target == "tensorrt-rtx":
        return None
    gpu = find_gpu()
    if gpu is None:
        raise BuildError(
            "no NVIDIA GPU with a driver was found; expected one for target tensorrt, which times "
            "its kernels on it; build on the device, or ahead of time: TARGET=tensorrt-rtx"
        )
    return gpu


def _report_of(
    made: Compilation, trt: TensorRTModule, logger: Any, options: TensorRTOptions
) -> EngineReport:
    if trt.product == "tensorrt-rtx":  # its inspector needs a GPU
        return read_engine(made.engine)
    return read_inspector(_inspect(made.engine, trt.api, logger, options))


def _inspect(engine: bytes, api: Any, logger: Any, options: TensorRTOptions) -> str:
    """Return what the engine inspector tells about an engine, as JSON."""
    runtime = api.Runtime(logger)
    # Such an engine carries a runtime of its own; this one was made a moment ago, by us.
    runtime.engine_host_code_allowed = options.version_compatible
    loaded = runtime.deserialize_cuda_engine(engine)
    if loaded is None:
        raise BuildError(
            "TensorRT does not load the engine that it has just built; expected a complete one; "
            "check the GPU's free memory: nvidia-smi"
        )
    inspector = loaded.create_engine_inspector()
    return str(inspector.get_engine_information(api.LayerInformationFormat.JSON))
