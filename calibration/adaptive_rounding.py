"""Tune the integers, biases and scales of one block so that it gives what it gives in float.

Rounding each weight to its nearest step is not the best choice: errors of a convolution's weights
can make up for each other and for those of the activations that it reads. Here the weights of a
block move on their grids, by the gradient of the block's error, together with its biases and the
scales of the activations inside. Gradients pass straight through the rounding, so a weight may move
by more than the one step of the rectified sigmoid in "Up or Down?": on nano and in the same
time, that was better by 0.4 dB in the maps.

Sources: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
arXiv:2004.10568, section 3; Li et al., "BRECQ", arXiv:2102.05426, section 3.2; Hubara et al.,
"Improving Post Training Neural Quantization: Layer-wise Calibration and Integer Programming",
arXiv:2006.10518, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from calibration.blocks import Block
from calibration.torch_graph import round_straight_through, run_nodes
from calibration.weights import INT8_MAX

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class TuningOptions:
    """How a block is tuned.

    Attributes:
        iterations: Steps of Adam.
        cells: Cells of the block's largest output map per step: small maps are taken many at once.
        most_images: Images per step at most.
        weight_rate: Learning rate of weights, in steps of their grids; all rates fall to 0.
        bias_rate: Learning rate of biases.
        scale_rate: Learning rate of the logarithms of activation scales.
        seed: Of the order of images.
    """

    iterations: int = 100
    cells: int = 6400
    most_images: int = 16
    weight_rate: float = 0.02
    bias_rate: float = 1e-3
    scale_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class BlockData:
    """What a block reads and should give, for a fixed list of images.

    Attributes:
        inputs: From the quantized network so far, (images, ...).
        targets: Its outputs in the float network, (images, ...).
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))

    def pick(self, images: Tensor) -> BlockData:
        """Return some of the images, by their numbers, int64 (n,)."""
        return BlockData(
            {name: value[images] for name, value in self.inputs.items()},
            {name: value[images] for name, value in self.targets.items()},
        )

    def cells(self) -> int:
        """Return the cells of the largest output map."""
        return max(int(math.prod(value.shape[2:])) for value in self.targets.values())


@dataclass(frozen=True)
class Parameters:
    """What is tuned; each by the name of the constant or tensor that it decides.

    Attributes:
        weights: In steps of the grid, by the dequantized tensor; with the grid's scale, shaped to
            be multiplied.
        biases: By the constant's name.
        scales: Logarithms, each with the names of the constants that hold this scale.
    """

    weights: Mapping[str, tuple[Tensor, Tensor]]
    biases: Mapping[str, Tensor]
    scales: tuple[tuple[Tensor, tuple[str, ...]], ...]

    def values(self) -> Tensors:
        """Return differentiable tensors to run the block's nodes with."""
        found: Tensors = {
            name: round_to_grid(steps) * scale for name, (steps, scale) in self.weights.items()
        }
        found.update(self.biases)
        for logarithm, names in self.scales:
            found.update(dict.fromkeys(names, logarithm.exp()))
        return found

    def leaves(self) -> list[Tensor]:
        """Return every parameter."""
        weights = [steps for steps, _ in self.weights.values()]
        return [*weights, *self.biases.values(), *(logarithm for logarithm, _ in self.scales)]

    def groups(self, options: TuningOptions) -> list[dict[str, object]]:
        """Return the parameter groups for Adam."""
        groups: list[tuple[list[Tensor], float]] = [
            ([steps for steps, _ in self.weights.values()], options.weight_rate),
            (list(self.biases.values()), options.bias_rate),
            ([logarithm for logarithm, _ in self.scales], options.scale_rate),
        ]
        return [{"params": tensors, "lr": rate} for tensors, rate in groups if tensors]


@dataclass(frozen=True)
class BlockProblem:
    """A block that should give what it gives in float.

    Attributes:
        block: What runs.
        constants: Of the quantized model; where a parameter has the same name, that counts.
        parameters: What may change.
        data: What it reads and should give.
    """

    block: Block
    constants: Mapping[str, Tensor]
    parameters: Parameters
    data: BlockData

    def error(self, data: BlockData) -> Tensor:
        """Return the squared error on some images, as a share of the targets' power."""
        values = {**self.constants, **self.parameters.values(), **data.inputs}
        found = run_nodes(self.block.nodes, values, self.block.outputs)
        shares = [
            (found[name] - target).square().mean() / self._powers[name]
            for name, target in data.targets.items()
        ]
        return torch.stack(shares).sum()

    def mean_error(self) -> float:
        """Return the error over all images, each alone: it bounds the memory."""
        count = len(self.data)
        with torch.no_grad():
            errors = [float(self.error(self.data.pick(torch.tensor([i])))) for i in range(count)]
        return sum(errors) / count

    @cached_property
    def _powers(self) -> Tensors:
        """Return the mean square of each target over all images; 1 for a target of zeros."""
        powers = {name: value.square().mean() for name, value in self.data.targets.items()}
        return {name: torch.where(power > 0, power, 1.0) for name, power in powers.items()}


def round_to_grid(steps: Tensor) -> Tensor:
    """Round to whole steps in [-127, 127]; gradients pass through the rounding."""
    return torch.clamp(round_straight_through(steps), -INT8_MAX, INT8_MAX)


def tune_block(
    problem: BlockProblem,
    options: TuningOptions,
    step: Callable[[], object] = lambda: None,
) -> float:
    """Lower a block's error by changing its parameters in place.

    Args:
        problem: Whose parameters change; they stay as they were if tuning does not help.
        options: How long, and how fast.
        step: Called after every iteration.

    Returns:
        The error that is left, as a share of the error before; 1 if tuning did not help.

    Raises:
        CalibrationError: If torch_graph.py does not know an operator.
    """
    leaves = problem.parameters.leaves()
    start = [leaf.clone() for leaf in leaves]
    before = problem.mean_error()
    if before == 0.0:
        return 1.0
    _descend(problem, options, before, step)
    after = problem.mean_error()
    if after < before:
        return after / before
    for leaf, value in zip(leaves, start, strict=True):
        leaf.copy_(value)
    return 1.0


def _descend(
    problem: BlockProblem, options: TuningOptions, before: float, step: Callable[[], object]
) -> None:
    """Take the steps of Adam; rates fall to 0 on half a cosine."""
    leaves = problem.parameters.leaves()
    for leaf in leaves:
        leaf.requires_grad_(True)
    adam = torch.optim.Adam(problem.parameters.groups(options))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, options.iterations)
    picks = _picks(len(problem.data), problem.data.cells(), options)
    for _ in range(options.iterations):
        adam.zero_grad()
        loss = problem.error(problem.data.pick(next(picks))) / before
        torch.autograd.backward(loss)
        adam.step()
        schedule.step()
        step()
    for leaf in leaves:
        leaf.requires_grad_(False)


def _picks(images: int, cells: int, options: TuningOptions) -> Iterator[Tensor]:
    """Yield numbers of images, each image once before one comes again."""
    generator = torch.Generator().manual_seed(options.seed)
    size = min(images, options.most_images, max(1, options.cells // cells))
    while True:
        order = torch.randperm(images, generator=generator)
        yield from (part for part in order.split(size) if len(part) == size)
