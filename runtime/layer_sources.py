"""Which ONNX nodes ONNX Runtime fused into each layer that it gives a time for.

It does not say so. What is known is the layer's name, which is that of one of its nodes or, for
layers in blocked layout, of the tensor that it makes, and its operator. The rest follows from the
file: a node without a time of its own runs as part of a layer that it is joined to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runtime.layers import NO_MODULE, module_of
from runtime.onnx_nodes import INLINED, OnnxNode, OnnxNodes

# What ONNX Runtime appends to a name when it copies or changes a node.
_APPENDED = re.compile(r"(_nchwc|_token_\d+|/duplicated|/\w+Fusion)$")
_BLOCKED_LAYOUT = "_nchwc"
# How it marks what it inlined: the function, and a number from the second call on.
_INLINED_PREFIX = re.compile(rf"^{INLINED}[A-Za-z0-9]+_(token_\d+_)?")
# What it puts before an operator when it quantizes or fuses it.
_CHANGED_OPERATOR = re.compile(r"^(QLinear|Fused)")


def find_sources(
    model: OnnxNodes, layers: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """Return the names of the nodes that each layer is made of.

    Args:
        model: The file that was opened.
        layers: Name and operator of each layer, in the order in which they run.

    Returns:
        One entry per layer, nodes in the order of the data; empty where nothing is known, as for a
        change of layout that ONNX Runtime put in.
    """
    named = [_find_node(model, name) for name, _ in layers]
    hosts = {node: index for index, node in enumerate(named) if node is not None}
    members: list[list[OnnxNode]] = [[] for _ in layers]
    for index, ((_, kind), node) in enumerate(zip(layers, named, strict=True)):
        if node is not None:
            members[index] = _back_to(plain_operator(kind), node, model, hosts) or [node]
            hosts.update(dict.fromkeys(members[index], index))
    for node in model.nodes:
        if node not in hosts:
            # It reads what several layers made: the last of them had all of it at hand.
            before = [hosts[m] for name in node.inputs if (m := model.makers.get(name)) in hosts]
            if before:
                hosts[node] = max(before)
                members[hosts[node]].append(node)
    return tuple(
        _names(model, nodes) or _name_alone(name)
        for nodes, (name, _) in zip(members, layers, strict=True)
    )


def plain_operator(kind: str) -> str:
    """Return the ONNX operator that a layer's kind comes from: "Conv" for "QLinearConv"."""
    return _CHANGED_OPERATOR.sub("", kind)


def _find_node(model: OnnxNodes, name: str) -> OnnxNode | None:
    """Return the node that a layer is named after, directly or by a tensor."""
    blocked = False
    while True:
        tables = (model.makers, model.by_name) if blocked else (model.by_name, model.makers)
        for table in tables:
            if name in table:
                return table[name]
        shorter = _APPENDED.sub("", name)
        if shorter == name:
            return None
        blocked |= name.endswith(_BLOCKED_LAYOUT)
        name = shorter


def _back_to(
    operator: str, node: OnnxNode, model: OnnxNodes, taken: dict[OnnxNode, int]
) -> list[OnnxNode] | None:
    """Return the chain that ends in ``node`` and starts with ``operator``; None if there is none.

    A layer of kind Conv that is named after a Relu holds the convolution before it. Nodes that have
    a layer of their own end the search.
    """
    if plain_operator(node.operator) == operator:
        return [node]
    for name in node.inputs:
        maker = model.makers.get(name)
        if maker is not None and maker not in taken:
            chain = _back_to(operator, maker, model, taken)
            if chain:
                return [*chain, node]
    return None


def _names(model: OnnxNodes, nodes: Sequence[OnnxNode]) -> tuple[str, ...]:
    """Return names that tell a module; without any, that of the nearest node that has one."""
    names = [name for node in nodes for name in _names_of(node)]
    if nodes and not names:
        names = _nearest(model, nodes[0])
    return tuple(dict.fromkeys(names))


def _names_of(node: OnnxNode) -> list[str]:
    """Return the name of a node, and of the last node that the build step fused into it.

    A fused node makes the tensor that the last of its nodes made, and ``export/`` names tensors
    after the nodes that make them.
    """
    names = [_INLINED_PREFIX.sub("", name) for name in (node.name, *node.outputs[:1])]
    own, made = ("/".join(name.split("/")[:2]) for name in names)
    known = [names[0]] if module_of(own) != NO_MODULE else []
    return [*known, made] if module_of(made) != NO_MODULE and made != own else known


def _nearest(model: OnnxNodes, node: OnnxNode) -> list[str]:
    """Return the name of the nearest node after one, or else before it, that tells a module."""
    for step in (_after, _before):
        seen, wave = {node}, [node]
        while wave:
            names = [name for each in wave for name in _names_of_all(each)]
            if names:
                return names[:1]
            wave = [next_ for each in wave for next_ in step(model, each) if next_ not in seen]
            seen.update(wave)
    return []


def _names_of_all(node: OnnxNode) -> list[str]:
    """Return the names of what made any output: ``Scan`` has the result behind its state."""
    names = [_INLINED_PREFIX.sub("", name) for name in (node.name, *node.outputs)]
    return [name for name in names if module_of(name) != NO_MODULE]


def _after(model: OnnxNodes, node: OnnxNode) -> list[OnnxNode]:
    return [reader for name in node.outputs for reader in model.readers.get(name, ())]


def _before(model: OnnxNodes, node: OnnxNode) -> list[OnnxNode]:
    return [model.makers[name] for name in node.inputs if name in model.makers]


def _name_alone(name: str) -> tuple[str, ...]:
    """Return a layer's own name where the file does not have it but it tells a module."""
    name = _INLINED_PREFIX.sub("", name)
    return (name,) if module_of(name) != NO_MODULE else ()
