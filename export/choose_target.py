"""Which runtime an engine is built for when the user leaves the choice to us.

    python -m export.choose_target auto

prints the target's name alone on standard output, and the reason on standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.tensorrt_options import DEFAULT_CAPABILITIES
from runtime.command_line import CommandParser
from runtime.errors import BackendError, run_command
from runtime.trt_module import find_gpu, load_tensorrt, load_tensorrt_rtx

TARGETS = ("auto", "onnxruntime", "tensorrt-rtx", "tensorrt")


def choose_target(requested: str) -> tuple[str, str]:
    """Resolve "auto" to the first target that can run here: tensorrt, tensorrt-rtx, onnxruntime.

    Args:
        requested: One of ``TARGETS``.

    Returns:
        The target and the reason, as a clause for the user.
    """
    if requested != "auto":
        return requested, "asked for"
    passed_over = []
    for target, check in (("tensorrt", _check_tensorrt), ("tensorrt-rtx", _check_rtx)):
        try:
            if find_gpu() is None:
                raise BackendError("no NVIDIA GPU with a driver was found")
            check()
        except BackendError as error:
            passed_over.append(f"{target}: {error}")
        else:
            return target, "it is installed and this machine's GPU can run its engines"
    return "onnxruntime", f"runs everywhere; passed over {'; '.join(passed_over)}"


def _check_tensorrt() -> None:
    """Raise a ``BackendError`` that says why TensorRT is not here."""
    load_tensorrt()


def _check_rtx() -> None:
    """Raise a ``BackendError`` that says why TensorRT-RTX engines cannot run here."""
    gpu = find_gpu()
    if gpu is not None and gpu.compute_capability not in DEFAULT_CAPABILITIES:
        raise BackendError(
            f"the GPU has compute capability {gpu.compute_capability}, engines are built for "
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
