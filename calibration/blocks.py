"""Cut a quantized graph into blocks, each of which is tuned as a whole.

A block is what joins its branches: a residual block, a corner module, a fire module. One that has
no INT8 convolution (an upsampled sum, the last layer of a head) belongs to the block before it.
Errors of the layers in a block can make up for each other, which is why blocks do better than
single layers.

Source: Li et al., "BRECQ", arXiv:2102.05426, section 3.2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from calibration.biases import convolution_outputs
from calibration.placement_rules import CONVOLUTIONS
from export.onnx_graph import module_of

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
JOINS = ("Add", "Concat")


@dataclass(frozen=True)
class Block:
    """Neighbouring nodes of a quantized graph.

    Attributes:
        name: Path of the module that they came from.
        nodes: In graph order; before each, what quantizes the tensors that it reads.
        inputs: Tensors from earlier blocks, before they are quantized.
        outputs: Tensors that later blocks or nobody reads, before they are quantized.
    """

    name: str
    nodes: tuple[NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def convolutions(self) -> list[NodeProto]:
        """Return the convolutions, in INT8 or not."""
        return [node for node in self.nodes if node.op_type in CONVOLUTIONS]


def find_blocks(model: ModelProto, int8: Collection[str]) -> list[Block]:
    """Return the blocks of a quantized model, in the order in which they can be run.

    What no convolution depends on and is none, such as the decoder, is left out.

    Args:
        model: As ``quantize_model`` writes it, with an FP32 base.
        int8: First output of every convolution that runs in INT8.
    """
    needed = _needed(model)
    nodes = [node for node in model.graph.node if needed.intersection(node.output)]
    constants = frozenset(tensor.name for tensor in model.graph.initializer)
    quantizers = _quantizers(nodes)
    body = [node for node in nodes if node.op_type not in QUANTIZERS]
    parts = [
        (name, _with_quantizers(part, quantizers)) for name, part in _cut(body, frozenset(int8))
    ]
    return [
        Block(name, tuple(part), *_borders(part, [p for _, p in parts if p is not part], constants))
        for name, part in parts
    ]


def _needed(model: ModelProto) -> set[str]:
    """Return the tensors that convolutions write or depend on."""
    nodes = list(model.graph.node)
    needed = set(convolution_outputs(nodes))
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed


def _quantizers(nodes: Sequence[NodeProto]) -> dict[str, list[NodeProto]]:
    """Return what makes each dequantized tensor: one node for weights, two for activations."""
    quantizing = {node.output[0]: node for node in nodes if node.op_type == "QuantizeLinear"}
    found: dict[str, list[NodeProto]] = {}
    for node in nodes:
        if node.op_type == "DequantizeLinear":
            first = quantizing.get(node.input[0])
            found[node.output[0]] = [node] if first is None else [first, node]
    return found


def _cut(nodes: Sequence[NodeProto], int8: frozenset[str]) -> list[tuple[str, list[NodeProto]]]:
    """Return runs of nodes of the same module; each but a leading one has an INT8 convolution."""
    joining = {module_of(node) for node in nodes if node.op_type in JOINS}
    runs: list[tuple[str, list[NodeProto]]] = []
    for node in nodes:
        name = _module_of_block(module_of(node), joining)
        if not runs or runs[-1][0] != name:
            runs.append((name, []))
        runs[-1][1].append(node)
    parts: list[tuple[str, list[NodeProto]]] = []
    for name, run in runs:
        if parts and int8.isdisjoint(convolution_outputs(run)):
            parts[-1][1].extend(run)
        else:
            parts.append((name, run))
    return parts


def _module_of_block(path: str, joining: Collection[str]) -> str:
    """Return the innermost module around a node that joins branches, else the one around it."""
    names = path.split(".")
    for length in range(len(names), 0, -1):
        if (module := ".".join(names[:length])) in joining:
            return module
    return ".".join(names[:-1]) or path


def _with_quantizers(
    nodes: Sequence[NodeProto], quantizers: dict[str, list[NodeProto]]
) -> list[NodeProto]:
    """Return nodes with what makes the dequantized tensors that they read before them."""
    result: list[NodeProto] = []
    for node in nodes:
        for name in node.input:
            result.extend(more for more in quantizers.get(name, ()) if more not in result)
        result.append(node)
    return result


def _borders(
    nodes: Sequence[NodeProto], others: Sequence[Sequence[NodeProto]], constants: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tensors that come from other blocks, and those that others or nobody read."""
    made = {name for node in nodes for name in node.output}
    read = [name for node in nodes for name in node.input if name]
    outside = {name for part in others for node in part for name in node.input}
    inputs = [name for name in read if name not in made and name not in constants]
    outputs = [
        node.output[0]
        for node in nodes
        if node.op_type not in QUANTIZERS
        and (node.output[0] in outside or node.output[0] not in set(read))
    ]
    return tuple(dict.fromkeys(inputs)), tuple(outputs)
