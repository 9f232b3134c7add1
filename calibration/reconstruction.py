"""Tune a network block by block, each to what it gives in float: rounding, biases and scales.

A block reads what the quantized blocks before it give, so it also makes up for their errors.

Source: Li et al., "BRECQ", arXiv:2102.05426, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from calibration.adaptive_rounding import (
    BlockData,
    BlockProblem,
    Parameters,
    TuningOptions,
    round_to_grid,
    tune_block,
)
from calibration.bias_correction import correct_biases
from calibration.block_walk import DEFAULT_BUDGET, BlockWalk, Budget, finish_walk, start_walk
from calibration.blocks import Block
from calibration.quantize import Quantizable
from calibration.quantize_rules import Placement
from calibration.weights import INT8_MAX


@dataclass(frozen=True)
class ReconstructionOptions:
    """How a network is reconstructed.

    Attributes:
        tuning: How integers, biases and scales of each block are tuned; None only corrects biases.
        budget: How many images, and how much memory.
    """

    tuning: TuningOptions | None = None
    budget: Budget = DEFAULT_BUDGET


def reconstruct(
    source: Quantizable,
    placement: Placement,
    samples: Iterable[np.ndarray],
    options: ReconstructionOptions,
    begin: Callable[[int], Callable[[], object]] = lambda total: lambda: None,
) -> Quantizable:
    """Change what a quantized network is made of so that each block gives its float results.

    Args:
        source: Not modified.
        placement: Which convolutions run in INT8.
        samples: Network inputs, uint8 (1, H, W, 3); the first of them are used.
        options: What is changed, on how many images.
        begin: Called with the number of steps there are; what it returns is called after each.

    Returns:
        ``source`` with other biases and, if it was tuned, other thresholds and weights.

    Raises:
        CalibrationError: If there is no sample, the model cannot be quantized, or an operator of it
            is unknown to torch_graph.py.
    """
    source, walk = start_walk(source, placement, samples, options.budget)
    tuning = options.tuning
    iterations = tuning.iterations if tuning else 0
    step = begin(sum(1 + bool(walk.int8_convolutions(b)) * iterations for b in walk.blocks))
    for number, (block, targets) in enumerate(walk.steps()):
        correct_biases(walk, block)
        if tuning and walk.int8_convolutions(block):
            data = BlockData({name: walk.values[name] for name in block.inputs}, targets)
            parameters = _parameters(walk, block)
            seeded = replace(tuning, seed=tuning.seed + number)
            tune_block(BlockProblem(block, walk.constants, parameters, data), seeded, step)
            _keep(walk, parameters)
        step()
    return finish_walk(source, walk)


def _parameters(walk: BlockWalk, block: Block) -> Parameters:
    """Start from the float weights, the biases, and the calibrated scales not tuned yet."""
    weights = {}
    for node in walk.int8_convolutions(block):
        prefix = f"{node.output[0]}/weight"
        scale, axis = walk.constants[f"{prefix}/scale"], int(node.op_type != "Conv")
        values = walk.float_constants[walk.float_nodes[node.output[0]].input[1]]
        shape = [-1 if i == axis and scale.dim() else 1 for i in range(values.dim())]
        scale = scale.reshape(shape)
        weights[f"{prefix}/dequantized"] = (torch.clamp(values / scale, -INT8_MAX, INT8_MAX), scale)
    biases = [f"{node.output[0]}/bias" for node in walk.int8_convolutions(block)]
    scales: dict[str, list[str]] = {}
    for name in (n.input[0] for n in block.nodes if n.op_type == "QuantizeLinear"):
        grid = walk.plan.grid_of.get(name, name)
        if grid not in walk.tuned_scales:
            scales.setdefault(grid, []).append(f"{name}/scale")
    return Parameters(
        weights,
        {name: walk.constants[name].clone() for name in biases},
        tuple((walk.constants[names[0]].log(), tuple(names)) for names in scales.values()),
    )


def _keep(walk: BlockWalk, parameters: Parameters) -> None:
    """Write what was tuned into the constants of the quantized network."""
    for name, (steps, _) in parameters.weights.items():
        integers = round_to_grid(steps).to(torch.int8)
        walk.constants[name.removesuffix("dequantized") + "quantized"] = integers
    walk.constants.update(parameters.biases)
    grid_of = walk.plan.grid_of
    for logarithm, names in parameters.scales:
        first = names[0].removesuffix("/scale")
        grid = grid_of.get(first, first)
        walk.tuned_scales.add(grid)
        members = [name for name in walk.plan.readers if grid_of.get(name, name) == grid]
        walk.constants.update({f"{name}/scale": logarithm.exp() for name in members})
