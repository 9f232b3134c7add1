"""Build an ONNX model for what will run it: ONNX Runtime, TensorRT, or TensorRT-RTX."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.choose_target import TARGETS, choose_target
from export.tensorrt_options import (
    DEFAULT_CAPABILITIES,
    DecodeForm,
    PluginUse,
    SizeRange,
    TensorRTOptions,
    arguments_of,
    capabilities_of,
    check_options,
)
from runtime.atomic_file import folder_lock, partial_path, sha256_of
from runtime.command_line import CommandParser, check_output, positive
from runtime.contract import (
    ModelContract,
    ProvenanceStep,
    read_contract,
    write_contract,
)
from runtime.errors import BackendError, BuildError, UsageError, run_command
from runtime.manifest import HARDWARE_COMPATIBILITIES, EngineManifest

_DEFAULT_SM = ",".join(name.replace(".", "") for name in DEFAULT_CAPABILITIES)


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        source: A portable ONNX model with its contract beside it.
        out: The file to write.
        target: "onnxruntime", "tensorrt" or "tensorrt-rtx".
        options: How TensorRT builds.
    """

    source: Path
    out: Path
    target: str
    options: TensorRTOptions = field(default_factory=TensorRTOptions)


@dataclass(frozen=True)
class BuildResult:
    """What was built.

    Attributes:
        contract: The contract written beside the artifact.
        summary: A line about what came out.
        explanation: Tables of layers and exceptions; "" for ONNX Runtime.
    """

    contract: ModelContract
    summary: str
    explanation: str = ""


@dataclass(frozen=True)
class _Built:
    """What one builder reports: its tool's name and version, a line, tables, an engine's needs."""

    tool: str
    summary: str
    explanation: str = ""
    manifest: EngineManifest | None = None


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.build_engine``."""
    parser = CommandParser(prog="python -m export.build_engine", description=__doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="a portable model with its contract")
    add("--target", choices=TARGETS, default="auto", help="auto: the first that can run here")
    add("--out", type=Path, required=True, help="the file to write")
    add("--explain", action="store_true", help="print layers by precision, and every exception")
    _add_tensorrt_options(parser.add_argument_group("TensorRT and TensorRT-RTX"))
    return parser


def _add_tensorrt_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    for size in ("batch", "height", "width"):
        add(
            f"--{size}",
            nargs=3,
            type=positive,
            metavar=("SMALLEST", "USUAL", "LARGEST"),
            help=f"for a model whose {size} is dynamic",
        )
    add("--target-sm", metavar="SM", help=f"GPUs of a TensorRT-RTX engine; default {_DEFAULT_SM}")
    add("--plugins", choices=[use.value for use in PluginUse], default=PluginUse.AUTO.value)
    add(
        "--decode",
        choices=[form.value for form in DecodeForm],
        default=DecodeForm.AUTO.value,
        help="auto: the plugin if built; fastest: build both, keep the faster on this GPU",
    )
    add("--opt-level", type=int, choices=range(6), help="0 builds fast, 5 searches longest")
    add("--workspace", type=positive, metavar="MIB", help="limit of scratch memory")
    add("--timing-cache", type=Path, metavar="FILE", help="kept between builds; TensorRT only")
    add("--version-compatible", action="store_true", help="for later versions; TensorRT only")
    add(
        "--hardware-compatibility",
        choices=HARDWARE_COMPATIBILITIES,
        default=HARDWARE_COMPATIBILITIES[0],
        help="for other GPUs; TensorRT only",
    )


def build_engine(request: BuildRequest) -> BuildResult:
    """Build an artifact and write its contract.

    Two processes may build the same artifact: the last one to finish wins, and file and contract
    are always of the same build.

    Raises:
        ArtifactError: If the model is missing, truncated or not ONNX.
        ContractError: If its contract is missing or does not match.
        UsageError: If the target does not know an option.
        BackendError: If the target is not installed.
        BuildError: If the model is not portable, the target refuses it, or the result would run in
            another precision than the contract says.
    """
    contract = read_contract(request.source)
    if contract.target != "portable":
        raise BuildError(
            f"{request.source} was built for {contract.target} already; expected a portable ONNX "
            "model, from export or calibration"
        )
    check_options(request.options, request.target)
    build = _for_onnxruntime if request.target == "onnxruntime" else _for_tensorrt
    partial = partial_path(request.out)
    try:
        built = build(request, contract, partial)
        step = ProvenanceStep("build", sha256_of(request.source), built.tool, built.summary)
        contract = contract.with_step(step, target=request.target, engine=built.manifest)
        with folder_lock(request.out.parent):
            os.replace(partial, request.out)
            write_contract(contract, request.out)
    finally:
        partial.unlink(missing_ok=True)
    return BuildResult(contract, built.summary, built.explanation)


def _for_onnxruntime(request: BuildRequest, contract: ModelContract, out: Path) -> _Built:
    if contract.precision == "bf16":
        raise BuildError(
            f"{request.source} is bf16, which ONNX Runtime does not run on processors; expected "
            "fp32 or int8; export with PRECISION=fp32, or build for a GPU: TARGET=tensorrt-rtx"
        )
    try:
        import onnxruntime

        from export.builder_onnxruntime import build_onnxruntime
    except ModuleNotFoundError as error:
        raise BackendError(
            f"target onnxruntime is not installed (no module {error.name}); install it from the "
            "checkout: pip install --editable '.[export,ort]'"
        ) from None
    build = build_onnxruntime(request.source, out, contract.precision)
    return _Built(f"onnxruntime {onnxruntime.__version__}", build.summary())


def _for_tensorrt(request: BuildRequest, contract: ModelContract, out: Path) -> _Built:
    from export.builder_tensorrt import build_tensorrt

    build = build_tensorrt(request.source, out, contract.precision, request.target, request.options)
    ranges = [step.note for step in contract.provenance if step.step == "calibrate"]
    manifest = EngineManifest(
        product=request.target,
        version=build.version,
        compute_capabilities=build.compute_capabilities,
        gpu_name=build.gpu_name,
        precision=contract.precision,
        plugins=build.plugins.records,
        onnx_sha256=sha256_of(request.source),
        ranges=ranges[-1] if ranges else None,
        version_compatible=request.options.version_compatible,
        hardware_compatibility=request.options.hardware_compatibility,
        build_arguments=_build_arguments(request),
    )
    tool = f"{request.target} {build.version}"
    return _Built(tool, build.summary(), build.explain(), manifest)


def _build_arguments(request: BuildRequest) -> tuple[str, ...]:
    """Return what builds the same again, with no folder of this machine outside the checkout."""
    words = ["--onnx", _shown(request.source), "--out", _shown(request.out)]
    return (*words, *arguments_of(request.options))


def _shown(path: Path) -> str:
    if not path.is_absolute():
        return str(path)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def _options(arguments: argparse.Namespace) -> TensorRTOptions:
    sizes = {
        name: SizeRange(*getattr(arguments, name))
        for name in ("batch", "height", "width")
        if getattr(arguments, name)
    }
    return TensorRTOptions(
        compute_capabilities=capabilities_of(arguments.target_sm) if arguments.target_sm else (),
        timing_cache=arguments.timing_cache,
        version_compatible=arguments.version_compatible,
        hardware_compatibility=arguments.hardware_compatibility,
        optimization_level=arguments.opt_level,
        workspace_mib=arguments.workspace,
        plugins=PluginUse(arguments.plugins),
        decode=DecodeForm(arguments.decode),
        **sizes,
    )


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out)
    if arguments.out.resolve() == arguments.onnx.resolve():
        raise UsageError(f"got --out {arguments.out}; expected a new file's name")
    options = _options(arguments)
    target, reason = choose_target(arguments.target)
    print(f"building for {target}: {reason}", flush=True)
    request = BuildRequest(arguments.onnx, arguments.out, target, options)
    if options.decode is DecodeForm.FASTEST:
        from export.fastest_decode import build_fastest

        result = build_fastest(request)
    else:
        result = build_engine(request)
    if arguments.explain and result.explanation:
        print(result.explanation)
    size_mb = arguments.out.stat().st_size / 1e6
    print(f"wrote {arguments.out}: {size_mb:.1f} MB, {result.summary}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
