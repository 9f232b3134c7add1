"""Build an ONNX model for what will run it: ONNX Runtime, or TensorRT-RTX for NVIDIA GPUs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.builder_tensorrt_rtx import DEFAULT_CAPABILITIES, RtxOptions, build_tensorrt_rtx
from export.choose_target import TARGETS, choose_target
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output, positive
from runtime.contract import ModelContract, ProvenanceStep, read_contract, write_contract
from runtime.errors import BackendError, BuildError, UsageError, run_command
from runtime.trt_module import load_tensorrt_rtx


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        source: A portable ONNX model with its contract beside it.
        out: The file to write.
        target: "onnxruntime" or "tensorrt-rtx".
        compute_capabilities: GPUs of a TensorRT-RTX engine.
        max_batch: Largest batch of a TensorRT-RTX engine.
    """

    source: Path
    out: Path
    target: str
    compute_capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    max_batch: int = 1


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.build_engine``."""
    parser = CommandParser(prog="python -m export.build_engine", description=__doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="a portable model with its contract")
    add("--target", choices=TARGETS, default="auto", help="auto: the first that can run here")
    add("--out", type=Path, required=True, help="the file to write")
    add(
        "--compute-capability",
        nargs="+",
        default=list(DEFAULT_CAPABILITIES),
        metavar="CC",
        help="GPUs of a TensorRT-RTX engine; default: %(default)s",
    )
    add("--max-batch", type=positive, default=1, help="largest batch of a TensorRT-RTX engine")
    return parser


def build_engine(request: BuildRequest) -> tuple[ModelContract, str]:
    """Build an artifact and write its contract.

    Returns:
        The contract and a line about what came out.

    Raises:
        ArtifactError: If the model is missing, truncated or not ONNX.
        ContractError: If its contract is missing or does not match.
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
    build = {"onnxruntime": _for_onnxruntime, "tensorrt-rtx": _for_tensorrt_rtx}[request.target]
    tool, summary = build(request, contract.precision)
    step = ProvenanceStep("build", sha256_of(request.source), tool, summary)
    built = contract.with_step(step, target=request.target)
    write_contract(built, request.out)
    return built, summary


def _for_onnxruntime(request: BuildRequest, precision: str) -> tuple[str, str]:
    """Build, and return the tool's name and a line about what came out."""
    try:
        import onnxruntime

        from export.builder_onnxruntime import build_onnxruntime
    except ModuleNotFoundError as error:
        raise BackendError(
            f"target onnxruntime is not installed (no module {error.name}); install it from the "
            "checkout: pip install --editable '.[export,ort]'"
        ) from None
    build = build_onnxruntime(request.source, request.out, precision)
    return f"onnxruntime {onnxruntime.__version__}", build.summary()


def _for_tensorrt_rtx(request: BuildRequest, precision: str) -> tuple[str, str]:
    """Build, and return the tool's name and a line about what came out."""
    options = RtxOptions(request.compute_capabilities, request.max_batch)
    build = build_tensorrt_rtx(request.source, request.out, precision, options)
    capabilities = ", ".join(request.compute_capabilities)
    summary = f"for compute capabilities {capabilities}; {build.summary()}"
    return f"tensorrt-rtx {load_tensorrt_rtx().version}", summary


def _run(arguments: argparse.Namespace) -> int:
    check_output("--out", arguments.out)
    if arguments.out.resolve() == arguments.onnx.resolve():
        raise UsageError(f"got --out {arguments.out}; expected a new file's name")
    target, reason = choose_target(arguments.target)
    print(f"building for {target}: {reason}", flush=True)
    capabilities = tuple(arguments.compute_capability)
    request = BuildRequest(arguments.onnx, arguments.out, target, capabilities, arguments.max_batch)
    _, summary = build_engine(request)
    print(f"wrote {request.out}: {request.out.stat().st_size / 1e6:.1f} MB, {summary}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
