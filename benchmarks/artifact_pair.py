"""The two artifacts that are compared: one network at one size, in FP32 and in INT8."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from runtime.contract import ModelContract, read_contract
from runtime.errors import UsageError

PRECISIONS = ("fp32", "int8")


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --fp32 and --int8."""
    for precision in PRECISIONS:
        parser.add_argument(
            f"--{precision}", type=Path, required=True, metavar="F.onnx", help="built artifact"
        )


def read_pair(artifacts: Mapping[str, Path]) -> dict[str, ModelContract]:
    """Read the contracts of both artifacts.

    Args:
        artifacts: File by precision, a key for each of ``PRECISIONS``.

    Raises:
        ArtifactError: If an artifact is missing.
        ContractError: If a contract is missing, malformed or of another file.
        UsageError: If a precision or target is another one, or model or size differ.
    """
    contracts = {precision: read_contract(artifacts[precision]) for precision in PRECISIONS}
    for precision, contract in contracts.items():
        if (contract.precision, contract.target) != (precision, "onnxruntime"):
            raise UsageError(
                f"--{precision} got a {contract.precision} artifact for {contract.target}; "
                f"expected {precision} for onnxruntime; build it: make engine "
                f"PRECISION={precision} TARGET=onnxruntime"
            )
    fp32, int8 = (f"{c.name} at {c.size_hw[0]}x{c.size_hw[1]}" for c in contracts.values())
    if fp32 != int8:
        raise UsageError(f"--fp32 is {fp32}, --int8 is {int8}; expected one network at one size")
    return contracts
