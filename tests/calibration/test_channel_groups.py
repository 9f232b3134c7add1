"""Which channels may be scaled together, and that scaling changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from calibration.channel_groups import (
    find_channel_groups,
    join_weights,
    scale_channels,
    split_weights,
)
from tests.calibration.tiny_network import CHANNELS, make_tiny_network
from tests.calibration.tiny_source import run_tensor
from tests.export.tiny_models import make_model, run

X = np.random.default_rng(0).normal(0, 1, (1, 4, 6, 6)).astype(np.float32)


def conv(source: str, result: str, weights: str, kind: str = "Conv", **more: Any) -> NodeProto:
    return helper.make_node(kind, [source, weights], [result], **more)


def make_chain(middle: list[NodeProto], **shapes: tuple[int, ...]) -> ModelProto:
    """A convolution from x to a, nodes from a to b, and a convolution from b to y."""
    random = np.random.default_rng(1)
    sizes = {"first": (4, 4, 1, 1), "last": (4, 4, 1, 1), **shapes}
    constants = {k: random.normal(0, 1, v).astype(np.float32) for k, v in sizes.items()}
    nodes = [conv("x", "a", "first"), *middle, conv("b", "y", "last")]
    return make_model(
        nodes,
        {"x": (TensorProto.FLOAT, X.shape)},
        {"y": (TensorProto.FLOAT, (None,) * 4)},
        constants,
    )


def tensors_of(model: ModelProto) -> list[tuple[str, ...]]:
    return [group.tensors for group in find_channel_groups(model)]


def test_a_group_reaches_through_everything_that_lets_factors_through() -> None:
    groups = find_channel_groups(make_tiny_network())
    residual = next(group for group in groups if "stem/Relu" in group.tensors)

    # The skip path ties the stem to the block's sum, that one to pooling and so on.
    assert {"stem/Conv", "block.1/Conv", "block.sum/Relu"} <= set(residual.tensors)
    assert "block.0/Conv" not in residual.tensors
    assert [node.output[0] for node in residual.writers] == ["stem/Conv", "block.1/Conv"]
    pooled = next(group for group in groups if "pooled/Add" in group.tensors)
    assert "top/CornerPool" in pooled.tensors
    assert {node.output[0] for node in pooled.readers} == {"join.0/Conv", "join.1/Conv"}


def test_scaling_every_group_changes_weights_and_no_result() -> None:
    model = make_tiny_network()
    random = np.random.default_rng(0)
    for group in find_channel_groups(model):
        scale_channels(model, group, random.uniform(0.2, 5, CHANNELS))

    before = run_tensor(make_tiny_network(), "block.0/Relu")
    assert not np.allclose(run_tensor(model, "block.0/Relu"), before)
    np.testing.assert_allclose(
        run_tensor(model, "heat"), run_tensor(make_tiny_network(), "heat"), atol=1e-4
    )


@pytest.mark.parametrize(
    ("middle", "shapes", "channels"),
    [
        (conv("a", "b", "w", group=2), {"w": (4, 2, 3, 3), "last": (4, 4, 1, 1)}, (4, 4)),
        (conv("a", "b", "w", group=4), {"w": (4, 1, 3, 3)}, (4, 4)),
        (
            conv("a", "b", "w", "ConvTranspose", group=2),
            {"w": (4, 3, 2, 2), "last": (4, 6, 1, 1)},
            (4, 6),
        ),
    ],
)
def test_grouped_and_transposed_convolutions_scale_on_both_sides(
    middle: NodeProto, shapes: dict[str, tuple[int, ...]], channels: tuple[int, int]
) -> None:
    model = make_chain([middle], **shapes)
    expected = run(model, x=X)[0]
    groups = find_channel_groups(model)
    assert [group.tensors for group in groups] == [("a",), ("b",)]

    for group, count in zip(groups, channels, strict=True):
        scale_channels(model, group, np.linspace(0.3, 3, count))

    np.testing.assert_allclose(run(model, x=X)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "middle",
    [
        [helper.make_node("Sigmoid", ["a"], ["b"])],
        [helper.make_node("Concat", ["a", "a"], ["c"], axis=1), conv("c", "b", "wide")],
        [helper.make_node("Add", ["a", "one"], ["b"])],
        [helper.make_node("Mul", ["a", "a"], ["b"])],
        [helper.make_node("Relu", ["a"], ["b"]), conv("x", "d", "last")],  # shared weights
    ],
    ids=["sigmoid", "concatenation", "constant", "product", "shared"],
)
def test_other_nodes_and_shared_weights_block_a_group(middle: list[NodeProto]) -> None:
    model = make_chain(middle, wide=(4, 8, 1, 1), one=(1, 4, 1, 1))

    assert not any("a" in tensors for tensors in tensors_of(model))


def test_an_output_of_the_network_blocks_a_group() -> None:
    model = make_chain([helper.make_node("Relu", ["a"], ["b"])])
    assert tensors_of(model) == [("a", "b")]
    model.graph.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, (None,) * 4))

    assert tensors_of(model) == []


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_joining_is_the_inverse_of_splitting(kind: str) -> None:
    node = conv("x", "y", "w", kind, group=2)
    weights = np.arange(6 * 3 * 2 * 2, dtype=np.float32).reshape(6, 3, 2, 2)

    split = split_weights(node, weights)

    assert split.shape == ((2, 3, 3, 2, 2))
    np.testing.assert_array_equal(join_weights(node, split), weights)
