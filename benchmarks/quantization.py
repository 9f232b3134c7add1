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
from functools import partial
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.artifact_pair import PRECISIONS, add_pair_arguments, read_pair
from benchmarks.common import ratio_of, run_rounds, timed
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from export.builder_onnxruntime import describe
from export.onnx_graph import load_model
from runtime.backends import open_backend
from runtime.command_line import CommandParser

NAME = "quantization"
REPEATS = 5  # nano takes 10 to 20 ms: enough calls to outlast a slice of the scheduler


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    add_pair_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    artifacts = {precision: getattr(options, precision) for precision in PRECISIONS}
    contracts = read_pair(artifacts)
    size_hw = contracts["fp32"].size_hw
    frames = np.random.default_rng(1).integers(0, 256, (1, *size_hw, 3), np.uint8)
    with contextlib.ExitStack() as stack:
        turns = []
        for precision, artifact in artifacts.items():
            backend = open_backend(artifact, "onnxruntime", options.threads)
            stack.callback(backend.close)
            turns.append(timed(precision, partial(backend.infer, frames), REPEATS))
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


def artifact_facts(artifact: Path) -> dict[str, Any]:
    """Return an artifact's size and what its convolutions run in."""
    build = dataclasses.asdict(describe(load_model(artifact)))
    return {"bytes": artifact.stat().st_size, **build}


if __name__ == "__main__":
    sys.exit(main())
