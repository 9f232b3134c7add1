"""What the forward pass of a network shows when it is traced: its folds and its additions."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn

# Ways to write an addition, as torch.fx records them.
_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


@dataclass(frozen=True)
class NormPart:
    """The channels of a batch normalisation that one convolution writes.

    Attributes:
        norm: Path of the normalisation.
        first: Its first channel that comes from the convolution.
        channels: How many do.
    """

    norm: str
    first: int
    channels: int


@dataclass(frozen=True)
class NetworkFacts:
    """What was found.

    Attributes:
        norms: The normalisation behind each convolution that has one, by the convolution's path.
        additions: Every addition, as ``module.path/Add`` for the first in that module's
            ``forward``, ``module.path/Add_1`` for the second.
    """

    norms: Mapping[str, NormPart]
    additions: frozenset[str]


class _Tracer(fx.Tracer):
    """Stops at modules without children: convolutions, activations, corner pooling."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None


def find_facts(network: nn.Module) -> NetworkFacts:
    """Trace a network as it is in evaluation mode; it is left in the mode that it was in."""
    was_training = network.training
    graph = _Tracer().trace(network.eval())
    network.train(was_training)
    norms: dict[str, NormPart] = {}
    counts: Counter[str] = Counter()
    additions = []
    for node in graph.nodes:
        if _is(network, node, nn.BatchNorm2d):
            norms |= _parts(network, node)
        elif node.op in ("call_function", "call_method") and node.target in _ADDITIONS:
            path = next(reversed(node.meta.get("nn_module_stack", {"": None})), "")
            additions.append(addition_name(path, counts[path]))
            counts[path] += 1
    return NetworkFacts(norms, frozenset(additions))


def addition_name(path: str, number: int) -> str:
    """Return the name of an addition in a module's ``forward``, as exported graphs have it."""
    stem = f"{path}/Add" if path else "Add"
    return f"{stem}_{number}" if number else stem


def _parts(network: nn.Module, norm: fx.Node) -> dict[str, NormPart]:
    """Return the convolutions before a normalisation, reached through a concatenation or not."""
    source = norm.args[0]
    assert isinstance(source, fx.Node)
    makers = source.args[0] if source.target is torch.cat else [source]
    parts, first = {}, 0
    for maker in makers:
        if not _is(network, maker, nn.Conv2d | nn.ConvTranspose2d):
            return {}
        channels = network.get_submodule(maker.target).out_channels
        parts[maker.target] = NormPart(norm.target, first, channels)
        first += channels
    return parts


def _is(network: nn.Module, node: fx.Node, kind: type) -> bool:
    """Say whether a node calls a module of a kind."""
    return node.op == "call_module" and isinstance(network.get_submodule(node.target), kind)
