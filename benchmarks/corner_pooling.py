"""Corner pooling in each form: function body, torch operator, torch.cummax, log-step, NumPy.

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
from benchmarks.corner_pool_opponents import cummax_pool, log_step_pool
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
GOAL_SHAPE = (1, 128, 128, 128)  # the maps of hourglass-104
SHAPES = (GOAL_SHAPE, (8, 128, 128, 128))  # to detect with, and to train with
FUNCTION_BODY_GOAL_MS = 2.0  # on that shape
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
# The shorter calls take about a millisecond: enough of them to outlast a slice of the scheduler.
REPEATS = 5

Pool = Callable[[Tensor, str], Tensor]
Shape = tuple[int, ...]
OPERATOR = "operator"
OPPONENTS: dict[str, Pool] = {"cummax": cummax_pool, "log-step": log_step_pool}


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = benchmark_parser(NAME, __doc__)
    parser.add_argument(
        "--shape",
        type=int,
        nargs=4,
        action="append",
        metavar=("N", "C", "H", "W"),
        help="repeat for several; default: 1 128 128 128 and 8 128 128 128",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    shapes = tuple(tuple(shape) for shape in options.shape or SHAPES)
    if wrong := next((shape for shape in shapes if min(shape) < 1), None):
        raise UsageError(f"--shape got {list(wrong)}; expected four sizes of at least 1")
    samples: Samples = {}
    with torch_threads(options.threads):
        for shape in shapes:
            samples |= run_rounds(list(all_turns(shape, options.threads)), options.rounds)
    settings = {"shapes": shapes, "threads": options.threads, "repeats": REPEATS}
    return compare(samples, settings)


def all_turns(shape: Shape, threads: int) -> Iterator[Turn]:
    """Yield every form in every direction on one shape."""
    values = np.random.default_rng(1).standard_normal(shape, np.float32)
    for direction in get_args(reference.Direction):
        where = f"{shape_text(shape)} {direction}"
        yield function_body_turn(values, direction, threads)
        yield timed(f"NumPy {where}", partial(reference.corner_pool, values, direction))
        yield from torch_turns(values, direction)


def shape_text(shape: Sequence[int]) -> str:
    """Return sizes as in 1x128x128x128."""
    return "x".join(map(str, shape))


def compare(samples: Samples, settings: dict[str, object]) -> Findings:
    """Set the operator against its opponents, and the function body against its limit."""
    ratios = {
        label.replace(OPERATOR, f"{OPERATOR} / {name}"): ratio_of(
            values, samples[label.replace(OPERATOR, name)]
        )
        for label, values in samples.items()
        for name in OPPONENTS
        if label.startswith(OPERATOR)
    }
    goals = [Goal(name, r.of_medians, Sense.AT_MOST, 1.0) for name, r in ratios.items()]
    goals += [
        Goal(f"{label}, ms", spread_of(values).median, Sense.AT_MOST, FUNCTION_BODY_GOAL_MS)
        for label, values in samples.items()
        if label.startswith(f"function body {shape_text(GOAL_SHAPE)}")
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
    label = f"function body {shape_text(values.shape)} {direction}"
    return timed(label, session.run, REPEATS)


def corner_pool_model(shape: Sequence[int], direction: str) -> ModelProto:
    """Return a model of one ``CornerPool`` node with its function body."""
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    node = make_corner_pool("x", "y", direction)
    graph = helper.make_graph([node], "corner_pooling", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", OPSET)]
    return attach_corner_pool(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION))


def torch_turns(values: np.ndarray, direction: str) -> Iterator[Turn]:
    """Yield turns of the operator and its opponents, in both layouts, both ways."""
    for layout, memory_format in LAYOUTS.items():
        x = torch.from_numpy(values).contiguous(memory_format=memory_format)
        with_grad = x.clone().requires_grad_()
        grad = torch.ones_like(x)
        for name, pool in {OPERATOR: corner_pool, **OPPONENTS}.items():
            where = f"{shape_text(values.shape)} {direction} {layout}"
            yield timed(f"{name} {where} forward", _forward(pool, x, direction), REPEATS)
            both = _forward_backward(pool, with_grad, direction, grad)
            yield timed(f"{name} {where} forward+backward", both)


def _forward(pool: Pool, x: Tensor, direction: str) -> Callable[[], object]:
    return lambda: pool(x, direction)


def _forward_backward(pool: Pool, x: Tensor, direction: str, grad: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(pool(x, direction), x, grad)


if __name__ == "__main__":
    sys.exit(main())
