"""A network of a dozen nodes that has every pattern the quantization rules know."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from export.functions import make_corner_pool
from export.onnx_graph import save_model
from runtime.contract import DecodeParams, ModelContract, TensorSpec, write_contract
from tests.export.tiny_models import make_model

SIZE = 16
CHANNELS = 16


class _Builder:
    """Collects nodes and random constants."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._random = np.random.default_rng(0)

    def add(self, kind: str, name: str, inputs: list[str], **attributes: object) -> str:
        result = f"{name}/{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=result, **attributes))
        return result

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def conv(self, name: str, source: str, shape: tuple[int, int, int], **more: object) -> str:
        outputs, inputs, kernel = shape
        weights = self._random.normal(
            0, (inputs * kernel**2) ** -0.5, (outputs, inputs, kernel, kernel)
        )
        operands = [
            source,
            self.constant(f"{name}.weight", weights.astype(np.float32)),
            self.constant(f"{name}.bias", self._random.normal(0, 0.1, outputs).astype(np.float32)),
        ]
        return self.add("Conv", name, operands, pads=[kernel // 2] * 4, **more)

    def conv_relu(self, name: str, source: str, shape: tuple[int, int, int]) -> str:
        return self.add("Relu", name, [self.conv(name, source, shape)])

    def corner_pool(self, name: str, source: str, direction: str) -> str:
        node = make_corner_pool(source, f"{name}/CornerPool", direction)
        node.name = node.output[0]
        self.nodes.append(node)
        return str(node.output[0])


def make_tiny_network() -> ModelProto:
    """Return stem, residual block, hourglass merge, corner pooling, head and peaks in a row.

    Input ``frames`` uint8 (1, 16, 16, 3), outputs ``heat`` float32 (1, 2, 16, 16) and ``peaks``.
    """
    b = _Builder()
    pixels = b.add("Cast", "normalise", ["frames"], to=TensorProto.FLOAT)
    image = b.add("Transpose", "normalise", [pixels], perm=[0, 3, 1, 2])
    image = b.add("Mul", "normalise", [image, b.constant("scale", np.float32(1 / 128))])
    stem = b.conv_relu("stem", image, (CHANNELS, 3, 3))
    x = b.conv_relu("block.0", stem, (CHANNELS, CHANNELS, 3))
    x = b.conv("block.1", x, (CHANNELS, CHANNELS, 3))
    x = b.add("Relu", "block.sum", [b.add("Add", "block.sum", [x, stem])])
    x = b.add("Relu", "merge", [b.add("Add", "merge", [_upper(b, x), _lower(b, x)])])
    pooled = [
        b.corner_pool(d, b.conv_relu(f"{d}.conv", x, (CHANNELS, CHANNELS, 3)), d)
        for d in ("top", "left")
    ]
    x = b.add("Add", "pooled", pooled)
    # Two convolutions added, as in a residual block with a projection.
    branches = [b.conv(f"join.{i}", x, (CHANNELS, CHANNELS, 1)) for i in range(2)]
    x = b.add("Relu", "join", [b.add("Add", "join", branches)])
    x = b.conv_relu("head.0", x, (CHANNELS, CHANNELS, 1))
    heat = b.conv("head.1", x, (2, CHANNELS, 1))
    b.nodes[-1].output[0] = "heat"
    score = b.add("Sigmoid", "decode", ["heat"])
    b.add("MaxPool", "decode", [score], kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
    b.nodes[-1].output[0] = "peaks"
    assert heat == "head.1/Conv"
    maps = (TensorProto.FLOAT, (1, 2, SIZE, SIZE))
    frames = (TensorProto.UINT8, (1, SIZE, SIZE, 3))
    return make_model(b.nodes, {"frames": frames}, {"heat": maps, "peaks": maps}, b.constants)


def _upper(b: _Builder, x: str) -> str:
    return b.conv_relu("upper", x, (CHANNELS, CHANNELS, 3))


def _lower(b: _Builder, x: str) -> str:
    low = b.add("MaxPool", "lower", [x], kernel_shape=[2, 2], strides=[2, 2])
    low = b.conv_relu("lower.conv", low, (CHANNELS, CHANNELS, 3))
    scales = b.constant("twice", np.array([1, 1, 2, 2], np.float32))
    nearest = {"mode": "nearest", "nearest_mode": "floor"}
    return b.add(
        "Resize", "lower", [low, "", scales], coordinate_transformation_mode="asymmetric", **nearest
    )


def make_contract(precision: str = "fp32", target: str = "portable") -> ModelContract:
    """Return a contract that fits the tiny network."""
    maps = (1, 2, SIZE, SIZE)
    return ModelContract(
        name="tiny",
        family="cornernet",
        size_hw=(SIZE, SIZE),
        stride_px=1,
        mean_bgr=(0.0, 0.0, 0.0),
        std_bgr=(1.0, 1.0, 1.0),
        class_names=("a", "b"),
        decode=DecodeParams(5, 3, 0.5, 5),
        inputs=(TensorSpec("frames", "uint8", (1, SIZE, SIZE, 3)),),
        outputs=(TensorSpec("heat", "float32", maps), TensorSpec("peaks", "float32", maps)),
        precision=precision,
        target=target,
    )


def write_tiny_network(path: Path) -> Path:
    """Write the tiny network and its contract; returns ``path``."""
    save_model(make_tiny_network(), path)
    write_contract(make_contract(), path)
    return path


def random_frames(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return frames uint8 (1, 16, 16, 3)."""
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8) for _ in range(count)]


def write_images(folder: Path, count: int) -> Path:
    """Write images of another size than the network's; returns ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for i in range(count):
        image = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i:03d}.png"), image)
    return folder
