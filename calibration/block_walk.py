"""Walk through a network block by block, in float and quantized, side by side.

A block reads what the quantized blocks before it give. Only tensors that later blocks read are
kept, for as many images as fit a given memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import torch
from onnx import ModelProto, NodeProto
from torch import Tensor

from calibration.biases import convolution_outputs, own_biases
from calibration.blocks import Block, find_blocks
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import Placement, QuantizationPlan
from calibration.torch_graph import constants_of, run_nodes
from calibration.weights import INT8_MAX, QuantizedWeights
from export.onnx_graph import GraphIndex
from runtime.errors import CalibrationError

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Budget:
    """How much a walk may take.

    Attributes:
        images: Images at most.
        memory_bytes: For tensors between blocks, in float and quantized; at least one image is
            taken whatever it needs.
    """

    images: int = 32
    memory_bytes: int = 1 << 30


DEFAULT_BUDGET = Budget()


@dataclass
class BlockWalk:
    """Where a walk through the network is.

    Attributes:
        plan: What is quantized.
        blocks: In the order in which they run.
        float_nodes: The float network's nodes by first output.
        float_constants: Weights and biases in float.
        constants: Those of the quantized network: what is changed from block to block.
        float_values: Tensors that blocks to come need, in float.
        values: The same from the quantized network, before they are quantized.
        tuned_scales: Tensors whose scale was changed.
    """

    plan: QuantizationPlan
    blocks: list[Block]
    float_nodes: dict[str, NodeProto]
    float_constants: Tensors
    constants: Tensors
    float_values: Tensors = field(default_factory=dict)
    values: Tensors = field(default_factory=dict)
    tuned_scales: set[str] = field(default_factory=set)

    def int8_convolutions(self, block: Block) -> list[NodeProto]:
        """Return the INT8 convolutions of a block."""
        return [node for node in block.convolutions() if node.output[0] in self.plan.convolutions]

    def run_float(self, block: Block, wanted: Sequence[str]) -> Tensors:
        """Return tensors of a block in the float network, for all images."""
        names = [node.output[0] for node in block.nodes]
        nodes = [self.float_nodes[name] for name in names if name in self.float_nodes]
        return _run(nodes, self.float_constants, _pick(self.float_values, block), wanted)

    def run_quantized(self, block: Block, wanted: Sequence[str]) -> Tensors:
        """Return tensors of a block in the quantized network, for all images."""
        return _run(block.nodes, self.constants, _pick(self.values, block), wanted)

    def steps(self) -> Iterator[tuple[Block, Tensors]]:
        """Yield each block with its float outputs; behind it, run it with what was changed."""
        for number, block in enumerate(self.blocks):
            targets = self.run_float(block, block.outputs)
            yield block, targets
            self.values.update(self.run_quantized(block, block.outputs))
            self.float_values.update(targets)
            _forget(self.float_values, self.blocks[number + 1 :])
            _forget(self.values, self.blocks[number + 1 :])


def start_walk(
    source: Quantizable, placement: Placement, samples: Iterable[np.ndarray], budget: Budget
) -> tuple[Quantizable, BlockWalk]:
    """Quantize a model and take the images that a walk through it will use.

    Args:
        source: Not modified.
        placement: Which convolutions run in INT8.
        samples: Network inputs, uint8 (1, H, W, 3); the first of them are used.
        budget: How many images, and how much memory.

    Returns:
        ``source`` with a copy of its model in which each convolution has its own bias, for
        ``finish_walk``, and the walk.

    Raises:
        CalibrationError: If there is no sample, the model cannot be quantized, or an operator of it
            is unknown to torch_graph.py.
    """
    model = ModelProto()
    model.CopyFrom(source.model)
    own_biases(model, convolution_outputs(model.graph.node))
    source = replace(source, model=model)
    quantized, plan = quantize_model(source, placement)
    walk = BlockWalk(
        plan,
        find_blocks(quantized, plan.convolutions),
        {node.output[0]: node for node in model.graph.node},
        constants_of(model),
        constants_of(quantized),
    )
    frames = [torch.from_numpy(frame) for frame in islice(samples, budget.images)]
    if not frames:
        raise CalibrationError("no images to calibrate on; expected at least one")
    name = model.graph.input[0].name
    count = max(1, budget.memory_bytes // _bytes_per_image(walk, {name: frames[0]}))
    walk.float_values[name] = walk.values[name] = torch.cat(frames[:count])
    return source, walk


def finish_walk(source: Quantizable, walk: BlockWalk) -> Quantizable:
    """Return what was changed on a walk in the form that ``quantize_model`` takes.

    Args:
        source: From ``start_walk``; not modified.
        walk: At its end.
    """
    index = GraphIndex.of(source.model.graph)
    weights, biases = {}, {}
    for name in walk.plan.convolutions:
        axis = int(index.producers[name].op_type != "Conv")
        integers, scales = (
            walk.constants[f"{name}/weight/{part}"].numpy() for part in ("quantized", "scale")
        )
        weights[name] = QuantizedWeights(integers, scales, axis)
        biases[name] = walk.constants[f"{name}/bias"].numpy()
    tuned = {
        grid: float(walk.constants[f"{name}/scale"]) * INT8_MAX
        for name in walk.plan.readers
        if (grid := walk.plan.grid_of.get(name, name)) in walk.tuned_scales
    }
    return replace(
        source,
        ranges=replace(source.ranges, thresholds={**source.ranges.thresholds, **tuned}),
        weights={**source.weights, **weights},
        biases={**source.biases, **biases},
    )


def _run(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    wanted: Sequence[str],
) -> Tensors:
    """Return tensors for all images, which run one by one."""
    images = len(next(iter(inputs.values())))
    parts: list[Tensors] = []
    with torch.no_grad():
        for i in range(images):
            values = {name: value[i : i + 1] for name, value in inputs.items()}
            parts.append(run_nodes(nodes, {**constants, **values}, wanted))
    return {name: torch.cat([part[name] for part in parts]) for name in wanted}


def _pick(values: Mapping[str, Tensor], block: Block) -> Tensors:
    return {name: values[name] for name in block.inputs}


def _forget(values: Tensors, rest: Sequence[Block]) -> None:
    """Drop tensors that no block to come reads."""
    needed = {name for block in rest for name in block.inputs}
    for name in values.keys() - needed:
        del values[name]


def _bytes_per_image(walk: BlockWalk, frame: Tensors) -> int:
    """Return the most that the tensors between blocks take, in float and quantized, per image."""
    trial = replace(walk, float_values=dict(frame), values={})
    most = 0
    for number, block in enumerate(walk.blocks):
        trial.float_values.update(trial.run_float(block, block.outputs))
        most = max(most, sum(value.nbytes for value in trial.float_values.values()))
        _forget(trial.float_values, walk.blocks[number + 1 :])
    return max(1, 2 * most)
