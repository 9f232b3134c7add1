"""INT8 against FP32 in ONNX Runtime: latency, size, and how many convolutions were quantized.

Accuracy is measured by ``python -m detectors.evaluate``.

python -m benchmarks.quantization --fp32 A.onnxruntime.onnx --int8 B.onnxruntime.onnx
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.common import ratio_of, run_rounds, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from export.builder_onnxruntime import describe
from export.onnx_graph import load_model
from runtime.backends import open_backend
from runtime.contract import ModelContract, read_contract
from runtime.errors import UsageError
from runtime.options import CommandParser

NAME = "quantization"
PRECISIONS = ("fp32", "int8")
REPEATS = 5  # nano takes 10 to 20 ms: enough calls to outlast a slice of the scheduler


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    for precision in PRECISIONS:
        parser.add_argument(
            f"--{precision}", type=Path, required=True, metavar="F.onnx", help="built artifact"
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    artifacts = {precision: getattr(options, precision) for precision in PRECISIONS}
    contracts = {p: read_contract(artifact) for p, artifact in artifacts.items()}
    check_pair(contracts)
    size_hw = contracts["fp32"].size_hw
    frames = np.random.default_rng(1).integers(0, 256, (1, *size_hw, 3), np.uint8)
    with contextlib.ExitStack() as stack:
        turns = []
        for precision, artifact in artifacts.items():
            backend = open_backend(artifact, "onnxruntime", options.threads)
            stack.callback(backend.close)
            turns.append(timed(precision, lambda b=backend: b.infer(frames), REPEATS))
        samples = run_rounds(turns, options.rounds)
    settings = {
        "model": contracts["fp32"].name,
        "size_hw": size_hw,
        "threads": options.threads,
        "repeats": REPEATS,
        "artifact_sha256": {p: contract.artifact_sha256 for p, contract in contracts.items()},
    }
    ratios = {"fp32 / int8": ratio_of(samples["fp32"], samples["int8"])}
    facts = {precision: artifact_facts(artifact) for precision, artifact in artifacts.items()}
    return Findings(settings, samples, ratios, facts=facts)


def check_pair(contracts: dict[str, ModelContract]) -> None:
    """Refuse artifacts that are not the two precisions of one network.

    Raises:
        UsageError: If a precision or target is another one, or model or size differ.
    """
    for precision, contract in contracts.items():
        if (contract.precision, contract.target) != (precision, "onnxruntime"):
            raise UsageError(
                f"--{precision} got {contract.precision} for {contract.target}; expected "
                f"{precision} for onnxruntime; build it: make engine PRECISION={precision} "
                "TARGET=onnxruntime"
            )
    first, second = ((c.name, c.size_hw) for c in contracts.values())
    if first != second:
        raise UsageError(f"got {first} and {second}; expected one model at one size")


def artifact_facts(artifact: Path) -> dict[str, Any]:
    """Return an artifact's size and what its convolutions run in."""
    build = dataclasses.asdict(describe(load_model(artifact)))
    return {"bytes": artifact.stat().st_size, **build}


if __name__ == "__main__":
    sys.exit(main())
