"""Which runtime an engine is built for when the user leaves the choice to us.

    python -m export.choose_target auto

prints the target's name alone on standard output, and the reason on standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.builder_tensorrt_rtx import DEFAULT_CAPABILITIES
from runtime.backends import BACKENDS
from runtime.command_line import CommandParser
from runtime.errors import BackendError, BuildError, run_command
from runtime.trt_module import gpu_compute_capability, load_tensorrt, load_tensorrt_rtx

TARGETS = ("auto", "onnxruntime", "tensorrt-rtx", "tensorrt")


def choose_target(requested: str) -> tuple[str, str]:
    """Resolve "auto" to the first target that can run here.

    Args:
        requested: One of ``TARGETS``.

    Returns:
        The target and the reason, as a clause for the user.

    Raises:
        BuildError: If "tensorrt" is requested, which this version does not build.
        BackendError: If the requested target is not installed.
    """
    if requested == "tensorrt":
        load_tensorrt()  # says how to install it where it is missing
        raise BuildError(
            "target tensorrt is not built by this version; expected onnxruntime or tensorrt-rtx; "
            "use TARGET=onnxruntime"
        )
    if requested != "auto":
        return requested, "asked for"
    try:
        _check_rtx_runs_here()
    except BackendError as error:
        return "onnxruntime", f"runs everywhere; passed over tensorrt-rtx: {error}"
    return "tensorrt-rtx", "it is installed and this machine's GPU can run its engines"


def _check_rtx_runs_here() -> None:
    """Raise a ``BackendError`` that says why TensorRT-RTX engines cannot run here."""
    if not any("tensorrt-rtx" in spec.targets for spec in BACKENDS.values()):
        raise BackendError("runtime/ has no backend for its engines yet")
    capability = gpu_compute_capability()
    if capability is None:
        raise BackendError("no NVIDIA GPU with a driver was found")
    name = "{}.{}".format(*capability)
    if name not in DEFAULT_CAPABILITIES:
        raise BackendError(
            f"the GPU has compute capability {name}, engines are built for "
            f"{', '.join(DEFAULT_CAPABILITIES)}"
        )
    load_tensorrt_rtx()


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(prog="python -m export.choose_target", description=__doc__)
    parser.add_argument("target", nargs="?", choices=TARGETS, default="auto")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def choose() -> int:
        target, reason = choose_target(build_parser().parse_args(argv).target)
        print(f"target {target}: {reason}", file=sys.stderr)
        print(target)
        return 0

    return run_command(choose)


if __name__ == "__main__":
    sys.exit(main())
