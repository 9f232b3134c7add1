"""Tuning a block lowers its error and stays on the grid."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from onnx import helper

from calibration.adaptive_rounding import (
    BlockData,
    BlockProblem,
    Parameters,
    TuningOptions,
    round_to_grid,
    tune_block,
)
from calibration.blocks import Block
from calibration.torch_graph import run_nodes

OPTIONS = TuningOptions(iterations=60, cells=64, weight_rate=0.05)
SCALE = torch.tensor(0.25)


def make_problem(images: int = 6) -> BlockProblem:
    """A convolution with coarse weights between a quantized input and a ReLU."""
    random = torch.Generator().manual_seed(0)
    weights = torch.randn((6, 4, 3, 3), generator=random)
    # Channels that are alike let rounding errors make up for each other.
    x = torch.randn((images, 1, 8, 8), generator=random) + 0.3 * torch.randn(
        (images, 4, 8, 8), generator=random
    )
    bias = torch.randn(6, generator=random)
    scale = torch.tensor(4 / 127)
    nodes = (
        helper.make_node("QuantizeLinear", ["x", "x/scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "x/scale", "zero"], ["d"]),
        helper.make_node("Conv", ["d", "y/weight/dequantized", "y/bias"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["y"]),
    )
    targets = torch.relu(torch.nn.functional.conv2d(x, weights, bias, padding=1))
    parameters = Parameters(
        {"y/weight/dequantized": (weights / SCALE, SCALE)},
        {"y/bias": bias.clone()},
        ((scale.log(), ("x/scale",)),),
    )
    constants = {"zero": torch.tensor(0, dtype=torch.int8), "x/scale": scale}
    block = Block("block", nodes, ("x",), ("y",))
    return BlockProblem(block, constants, parameters, BlockData({"x": x}, {"y": targets}))


def test_the_error_falls_well_below_that_of_nearest_rounding() -> None:
    problem = make_problem()
    nearest = problem.mean_error()

    left = tune_block(problem, OPTIONS)

    assert left < 0.75
    assert problem.mean_error() == pytest.approx(left * nearest, rel=1e-5)


def test_weights_end_on_the_grid_and_some_not_at_the_nearest_step() -> None:
    problem = make_problem()
    (steps, _) = problem.parameters.weights["y/weight/dequantized"]
    before = round_to_grid(steps).clone()

    tune_block(problem, OPTIONS)

    after = round_to_grid(steps)
    assert torch.equal(after, after.round())
    assert float(after.abs().max()) <= 127
    assert not torch.equal(before, after)


def test_the_grid_ends_at_127_on_both_sides() -> None:
    steps = torch.tensor([-300.0, -127.6, 0.5, 1.5, 127.4, 300.0])

    assert round_to_grid(steps).tolist() == [-127, -127, 0, 2, 127, 127]


def test_one_seed_gives_one_result_and_another_one_another() -> None:
    results = []
    for seed in (0, 0, 1):
        problem = make_problem()
        tune_block(problem, replace(OPTIONS, seed=seed))
        results.append(torch.cat([leaf.flatten() for leaf in problem.parameters.leaves()]))

    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_what_does_not_help_is_taken_back() -> None:
    problem = make_problem()
    before = [leaf.clone() for leaf in problem.parameters.leaves()]

    left = tune_block(problem, replace(OPTIONS, iterations=3, bias_rate=50.0))

    assert left == 1.0
    assert all(map(torch.equal, before, problem.parameters.leaves()))


def test_a_block_without_error_is_left_alone() -> None:
    problem = make_problem()
    exact = run_nodes(
        problem.block.nodes,
        {**problem.constants, **problem.parameters.values(), **problem.data.inputs},
        ["y"],
    )
    problem = replace(problem, data=BlockData(problem.data.inputs, exact))
    before = [leaf.clone() for leaf in problem.parameters.leaves()]

    assert tune_block(problem, OPTIONS) == 1.0
    assert all(map(torch.equal, before, problem.parameters.leaves()))


def test_every_iteration_is_reported_and_one_image_is_enough() -> None:
    steps: list[int] = []

    left = tune_block(make_problem(images=1), OPTIONS, lambda: steps.append(1))

    assert len(steps) == OPTIONS.iterations
    assert left < 1
