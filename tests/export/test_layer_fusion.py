"""Which nodes run as one layer, and what each layer reads and writes."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, helper

from export.byte_counts import Network, bytes_of
from export.layer_fusion import fuse_layers
from export.operation_counts import Operations
from tests.export.rooflines import sized
from tests.export.tiny_models import make_model

FLOAT, INT8 = TensorProto.FLOAT, TensorProto.INT8
SHAPE = (1, 4, 8, 8)
ELEMENTS = 4 * 8 * 8
WEIGHTS = np.zeros((4, 4, 1, 1), np.float32)


def node(kind: str, inputs: list[str], result: str, **attributes: object) -> NodeProto:
    return helper.make_node(kind, inputs, [result], name=f"{result}/{kind}", **attributes)


def network(nodes: list[NodeProto], *outputs: str, **constants: np.ndarray) -> Network:
    """Return the layers of nodes on ``x``; ``w`` are 1x1 weights that keep the shape."""
    model = make_model(
        nodes,
        {"x": (FLOAT, SHAPE)},
        {name: (FLOAT, [None] * 4) for name in outputs},
        {"w": WEIGHTS, **constants},
    )
    return fuse_layers(sized(model))


def names(found: Network) -> list[tuple[str, ...]]:
    return [layer.nodes for layer in found.layers]


def test_a_residual_sum_joins_the_later_convolution_and_reads_the_other_branch() -> None:
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("Conv", ["x", "w"], "b"),
            node("Add", ["a", "b"], "s"),
            node("Relu", ["s"], "r"),
        ],
        "r",
    )
    assert names(found) == [("a/Conv",), ("b/Conv", "s/Add", "r/Relu")]
    assert set(found.layers[1].reads) == {"x", "a"} and set(found.layers[1].writes) == {"r"}
    assert found.layers[1].operations == Operations(64 * 16, 2 * ELEMENTS)


def test_a_product_with_something_made_later_is_not_run_before_that() -> None:
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("GlobalAveragePool", ["x"], "g"),
            node("Mul", ["a", "g"], "y"),  # a fits, but its layer runs before g's
        ],
        "y",
    )
    assert names(found) == [("a/Conv",), ("g/GlobalAveragePool",), ("y/Mul",)]


def test_what_a_layer_makes_itself_it_does_not_read() -> None:
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("Cast", ["a"], "f", to=FLOAT),
            node("Add", ["f", "a"], "y"),
        ],
        "y",
    )
    (layer,) = found.layers
    assert set(layer.reads) == {"x"} and set(layer.writes) == {"y"}


def test_what_two_read_is_written_once_and_read_by_each() -> None:
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("Relu", ["a"], "r"),
            node("Conv", ["r", "w"], "b"),
            node("Conv", ["r", "w"], "c"),
        ],
        "b",
        "c",
    )
    assert names(found)[0] == ("a/Conv", "r/Relu")
    assert [set(layer.reads) for layer in found.layers] == [{"x"}, {"r"}, {"r"}]
    assert set(found.layers[0].writes) == {"r"}


def test_a_pointwise_node_does_not_join_what_others_read_before_it() -> None:
    found = network([node("Conv", ["x", "w"], "a"), node("Relu", ["a"], "r")], "r", "a")
    assert names(found) == [("a/Conv",), ("r/Relu",)]
    assert found.layers[1].traffic_bytes() == 2 * 4 * ELEMENTS


def test_views_cost_nothing() -> None:
    shape = np.int64([1, 4, 64])
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("Reshape", ["a", "shape"], "v"),
            node("Relu", ["v"], "r"),
            node("Transpose", ["r"], "t", perm=[0, 2, 1]),
        ],
        "t",
        shape=shape,
    )
    assert names(found) == [("a/Conv", "v/Reshape", "r/Relu", "t/Transpose")]
    assert found.layers[0].traffic_bytes() == 4 * (2 * ELEMENTS + 16)


def test_pieces_of_a_concatenation_are_written_where_they_are_made() -> None:
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("Conv", ["x", "w"], "b"),
            node("Concat", ["a", "b"], "both", axis=1),
            node("Relu", ["both"], "r"),
            node("MaxPool", ["r"], "m", kernel_shape=[2, 2]),
        ],
        "m",
    )
    first, second, pool = found.layers
    assert bytes_of(first.writes) == bytes_of(second.writes) == 4 * ELEMENTS
    assert bytes_of(pool.reads) == 2 * 4 * ELEMENTS
    assert second.operations.others == 2 * ELEMENTS  # all of the ReLU


def quantized() -> Network:
    """Return x -> Q -> DQ -> convolution with INT8 weights -> ReLU -> Q -> DQ -> convolution."""
    scale, zero = np.float32(0.1), np.int8(0)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "x8"),
        node("DequantizeLinear", ["x8", "s", "z"], "xf"),
        node("DequantizeLinear", ["w8", "s", "z"], "wf"),
        node("Conv", ["xf", "wf"], "a"),
        node("Relu", ["a"], "r"),
        node("QuantizeLinear", ["r", "s", "z"], "r8"),
        node("DequantizeLinear", ["r8", "s", "z"], "rf"),
        node("Conv", ["rf", "w"], "y"),
    ]
    big = np.zeros((4, 4, 8, 8), np.int8)  # larger than what is kept of constants
    return network(nodes, "y", s=scale, z=zero, w8=big[:, :, :1, :1].copy())


def test_quantised_layers_move_bytes_and_compute_in_int8() -> None:
    quantise, first, second = quantized().layers
    assert quantise.kind == "QuantizeLinear" and quantise.traffic_bytes() == 5 * ELEMENTS + 5
    assert first.precision == "int8" and first.nodes[0] == "a/Conv"
    assert first.traffic_bytes() == 2 * ELEMENTS + 16 + 5  # and scale and zero point
    # INT8 activations, but float weights: not an INT8 convolution
    assert second.precision == "fp32"
    assert bytes_of(second.reads) == ELEMENTS and bytes_of(second.constants) == 4 * 16


def test_a_quantised_tensor_that_is_wanted_in_float_too_is_written_twice() -> None:
    scale, zero = np.float32(0.1), np.int8(0)
    found = network(
        [
            node("Conv", ["x", "w"], "a"),
            node("QuantizeLinear", ["a", "s", "z"], "a8"),
            node("DequantizeLinear", ["a8", "s", "z"], "af"),
            node("Conv", ["af", "w"], "b"),
            node("Add", ["a", "b"], "y"),
        ],
        "y",
        s=scale,
        z=zero,
    )
    assert {k: v for k, v in found.layers[0].writes.items()} == {
        "a8": (ELEMENTS, INT8),
        "a": (ELEMENTS, FLOAT),
    }


def test_gathering_reads_what_it_takes() -> None:
    found = network([node("Gather", ["x", "i"], "g", axis=3)], "g", i=np.int64([0, 5]))
    assert bytes_of(found.layers[0].reads) == 4 * ELEMENTS // 4


def test_an_unknown_operator_is_a_layer_and_is_named() -> None:
    found = network([node("Hardmax", ["x"], "h"), node("Hardmax", ["h"], "y")], "y")
    assert dict(found.unknown) == {"Hardmax": 2} and len(found.layers) == 2
    assert found.operations == Operations()
