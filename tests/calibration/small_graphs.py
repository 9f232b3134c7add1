"""Graphs of a few nodes, to show one placement rule each."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from export.functions import make_corner_pool
from tests.export.tiny_models import make_model

SIZE = 6


class SmallGraph:
    """Collects nodes whose names are those of their results; the input is ``x``.

    Attributes:
        channels: Number of channels of every tensor.
        constants: Values by name.
    """

    def __init__(self, channels: int = 16) -> None:
        self.channels = {"x": channels}
        self.constants: dict[str, np.ndarray] = {}
        self._nodes: list[NodeProto] = []
        self._random = np.random.default_rng(0)

    def conv(
        self, name: str, source: str, outputs: int = 16, group: int = 1, kind: str = "Conv"
    ) -> str:
        """Add a 1x1 convolution with random weights and a bias."""
        inputs = self.channels[source]
        shape = (outputs, inputs // group) if kind == "Conv" else (inputs, outputs // group)
        self.constants[f"{name}.weight"] = self._normal((*shape, 1, 1), shape[1] ** -0.5)
        self.constants[f"{name}.bias"] = self._normal((outputs,), 0.1)
        return self.node(
            kind, name, source, f"{name}.weight", f"{name}.bias", channels=outputs, group=group
        )

    def node(self, kind: str, name: str, *inputs: str, channels: int = 0, **more: Any) -> str:
        """Add any node; its result has the channels of its first input unless said."""
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **more))
        self.channels[name] = channels or self.channels[inputs[0]]
        return name

    def concat(self, name: str, *inputs: str) -> str:
        """Join along the channels."""
        channels = sum(self.channels[source] for source in inputs)
        return self.node("Concat", name, *inputs, channels=channels, axis=1)

    def max_pool(self, name: str, source: str) -> str:
        """Take maxima over 3x3 cells."""
        return self.node("MaxPool", name, source, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])

    def corner_pool(self, name: str, source: str) -> str:
        """Take maxima towards the top."""
        self._nodes.append(make_corner_pool(source, name, "top"))
        self._nodes[-1].name = name
        self.channels[name] = self.channels[source]
        return name

    def resize(self, name: str, source: str, mode: str = "nearest") -> str:
        """Scale by 1, as an upsampling of the given mode."""
        self.constants["once"] = np.ones(4, np.float32)
        return self.node("Resize", name, source, "", "once", mode=mode)

    def model(self, result: str) -> ModelProto:
        """Return a model that ends in a 1x1 convolution ``y`` of ``result``, which stays float."""
        self.conv("y", result)
        kind = (TensorProto.FLOAT, (1, self.channels["x"], SIZE, SIZE))
        out = (TensorProto.FLOAT, (1, 16, SIZE, SIZE))
        return make_model(self._nodes, {"x": kind}, {"y": out}, self.constants)

    def _normal(self, shape: tuple[int, ...], spread: float) -> np.ndarray:
        return self._random.normal(0, spread, shape).astype(np.float32)


def fire_modules() -> ModelProto:
    """Two fire modules in a row as in CornerNet-Squeeze, the second with a skip path."""
    graph = SmallGraph(32)
    source = graph.node("Relu", "start/Relu", graph.conv("start/Conv", "x", 32))
    for name in ("fire.0", "fire.1"):
        graph.conv(f"{name}.squeeze/Conv", source)
        graph.conv(f"{name}.deep/Conv", f"{name}.squeeze/Conv", group=16)
        graph.conv(f"{name}.wide/Conv", f"{name}.squeeze/Conv")
        last = graph.concat(f"{name}/Concat", f"{name}.wide/Conv", f"{name}.deep/Conv")
        if name == "fire.1":
            last = graph.node("Add", f"{name}/Add", last, source)
        source = graph.node("Relu", f"{name}/Relu", last)
    graph.conv("middle/Conv", source, 32)
    graph.conv("up/ConvTranspose", "middle/Conv", 32, kind="ConvTranspose")
    return graph.model(graph.conv("end/Conv", "up/ConvTranspose"))
