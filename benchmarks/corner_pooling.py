"""Corner pooling in each form: the ONNX function body, the torch operator, torch.cummax, NumPy.

python -m benchmarks.corner_pooling
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper
from torch import Tensor

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds, spread_of, timed
from benchmarks.onnxruntime_sessions import BoundSession
from benchmarks.report import Findings, benchmark_parser, run_benchmark
from benchmarks.torch_threads import torch_threads
from detectors.corner_pool import corner_pool
from export.functions import attach_corner_pool, make_corner_pool
from export.onnx_graph import IR_VERSION, OPSET
from plugins import reference
from runtime.command_line import CommandParser
from runtime.errors import UsageError

NAME = "corner_pooling"
GOAL_SHAPE = [1, 128, 128, 128]  # the maps of hourglass-104
FUNCTION_BODY_GOAL_MS = 2.0  # on that shape
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
# The shorter calls take about a millisecond: enough of them to outlast a slice of the scheduler.
REPEATS = 5

Pool = Callable[[Tensor, str], Tensor]


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    parser.add_argument(
        "--shape", type=int, nargs=4, default=GOAL_SHAPE, metavar=("N", "C", "H", "W")
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    if min(options.shape) < 1:
        raise UsageError(f"--shape got {options.shape}; expected four sizes of at least 1")
    values = np.random.default_rng(1).standard_normal(options.shape, np.float32)
    with torch_threads(options.threads):
        turns = [
            turn
            for direction in get_args(reference.Direction)
            for turn in (
                function_body_turn(values, direction, options.threads),
                timed(f"NumPy {direction}", partial(reference.corner_pool, values, direction)),
                *torch_turns(values, direction),
            )
        ]
        samples = run_rounds(turns, options.rounds)
    settings = {"shape": options.shape, "threads": options.threads, "repeats": REPEATS}
    return compare(samples, settings)


def compare(samples: Samples, settings: dict[str, object]) -> Findings:
    """Set the operator against ``torch.cummax``, and the function body against its limit."""
    ratios = {
        label.replace("operator", "operator / cummax"): ratio_of(
            values, samples[label.replace("operator", "cummax")]
        )
        for label, values in samples.items()
        if label.startswith("operator")
    }
    goals = [Goal(name, r.of_medians, Sense.AT_MOST, 1.0) for name, r in ratios.items()]
    if settings["shape"] == GOAL_SHAPE:
        goals += [
            Goal(f"{label}, ms", spread_of(values).median, Sense.AT_MOST, FUNCTION_BODY_GOAL_MS)
            for label, values in samples.items()
            if label.startswith("function body")
        ]
    return Findings(settings, samples, ratios, tuple(goals))


def function_body_turn(values: np.ndarray, direction: reference.Direction, threads: int) -> Turn:
    """Return a turn of the ONNX function body, inlined and run by ONNX Runtime.

    Args:
        values: float32 (N, C, H, W).
        direction: The border that maxima travel towards.
        threads: CPU threads.
    """
    model = corner_pool_model(values.shape, direction)
    session = BoundSession(model.SerializeToString(), values, threads)
    session.run()
    # A fast wrong answer is worth nothing.
    assert np.array_equal(session.result(), reference.corner_pool(values, direction))
    return timed(f"function body {direction}", session.run, REPEATS)


def corner_pool_model(shape: Sequence[int], direction: str) -> ModelProto:
    """Return a model of one ``CornerPool`` node with its function body."""
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    node = make_corner_pool("x", "y", direction)
    graph = helper.make_graph([node], "corner_pooling", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", OPSET)]
    return attach_corner_pool(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION))


def torch_turns(values: np.ndarray, direction: str) -> Iterator[Turn]:
    """Yield turns of the operator and of ``torch.cummax``, in both layouts, both ways."""
    for layout, memory_format in LAYOUTS.items():
        x = torch.from_numpy(values).contiguous(memory_format=memory_format)
        with_grad = x.clone().requires_grad_()
        grad = torch.ones_like(x)
        for name, pool in (("operator", corner_pool), ("cummax", cummax_pool)):
            where = f"{direction} {layout}"
            yield timed(f"{name} {where} forward", _forward(pool, x, direction), REPEATS)
            both = _forward_backward(pool, with_grad, direction, grad)
            yield timed(f"{name} {where} forward+backward", both)


def cummax_pool(x: Tensor, direction: str) -> Tensor:
    """Pool with ``torch.cummax``, turning the map around where the walk starts at its end."""
    axis, from_end = reference.WALKS[direction]
    if not from_end:
        return x.cummax(axis).values
    return x.flip(axis).cummax(axis).values.flip(axis)


def _forward(pool: Pool, x: Tensor, direction: str) -> Callable[[], object]:
    return lambda: pool(x, direction)


def _forward_backward(pool: Pool, x: Tensor, direction: str, grad: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(pool(x, direction), x, grad)


if __name__ == "__main__":
    sys.exit(main())
