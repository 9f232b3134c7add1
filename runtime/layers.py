"""Layers of a network and how long each took, whichever runtime measured them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Nodes that belong to no module of the network: they came with the export or the runtime.
NO_MODULE = "(none)"
# A layer whose nodes belong to modules that have nothing in common.
SEVERAL_MODULES = "(several)"
# Operators that do a layer's work; what is fused with one of them costs next to nothing.
_WORK = re.compile(r"(Conv|ConvTranspose|MatMul|Gemm|CornerPool)(_\d+)?$")


@dataclass(frozen=True)
class LayerTime:
    """One layer as the runtime runs it: often several ONNX nodes in one.

    Attributes:
        name: As the runtime calls it.
        kind: Its operator or kind as the runtime calls it, such as "QLinearConv"; "" where it does
            not say.
        nodes: Names of the ONNX nodes that were fused into it; ``export/`` names them
            "module/Operator", such as "hourglass.up1.0.conv1/Conv". Empty where it is unknown.
        precision: Of what it reads: "fp32", "fp16", "bf16", "fp8", "int8", or "" where it computes
            with none of them or it is unknown.
        times_ms: One value per profiled run, warm-up left out.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    precision: str
    times_ms: tuple[float, ...]

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of ``detectors/`` that its nodes belong to, each once, in order."""
        return tuple(dict.fromkeys(module_of(node) for node in self.nodes)) or (NO_MODULE,)

    @cached_property
    def module(self) -> str:
        """The module that its time counts for.

        That is the module of the node that does the work where it is one, such as a convolution
        with what follows it; otherwise what the modules of its nodes have in common.
        """
        work = [module_of(node) for node in self.nodes if _WORK.search(node)]
        return common_module(work or self.modules)

    @cached_property
    def median_ms(self) -> float:
        """Median over the runs."""
        return float(np.median(self.times_ms))


@dataclass(frozen=True)
class LayerProfile:
    """All layers of one artifact, in the order in which they run.

    Attributes:
        runtime: What measured them, such as "onnxruntime 1.31.1".
        layers: One entry per layer.
        whole_ms: The whole network's times in the same runs, as seen from outside.
        bare_ms: The whole network's times without a profiler, each run beside a profiled one: a
            profiler makes a network slower.
        notes: What a reader has to know of this profile, a sentence each.
    """

    runtime: str
    layers: tuple[LayerTime, ...]
    whole_ms: tuple[float, ...]
    bare_ms: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def layers_ms(self) -> float:
        """Sum of the layers' medians; the rest of the whole is spent between them."""
        return sum(layer.median_ms for layer in self.layers)


def module_of(node: str) -> str:
    """Return the module that an ONNX node came from: "a.b" for "a.b/Conv".

    What stands behind the first slash is the operator, and what a tool made of it, such as
    "a.b/Relu/QuantizeLinear".
    """
    module, slash, _ = node.partition("/")
    return module if slash else NO_MODULE


def common_module(modules: Iterable[str]) -> str:
    """Return the innermost module that holds all of some modules.

    Example:
        >>> common_module(["hourglass.up1.0.conv1", "hourglass.up1.0.relu"])
        'hourglass.up1.0'
    """
    first, *others = dict.fromkeys(modules)
    common = first.split(".")
    for other in others:
        parts = other.split(".")
        same = [a == b for a, b in zip(common, parts, strict=False)]
        common = common[: [*same, False].index(False)]
    return ".".join(common) or SEVERAL_MODULES
