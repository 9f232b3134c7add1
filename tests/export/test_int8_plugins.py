"""Corner pooling on integers gives the numbers it gave on floats."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from export.functions import CORNER_POOL, make_corner_pool
from export.int8_plugins import pool_integers
from tests.export.tiny_models import make_model, op_types, run

MAP = (TensorProto.FLOAT, (1, 2, 6, 6))
Q, D = "QuantizeLinear", "DequantizeLinear"


def node(kind: str, source: str, result: str, scale: str = "s") -> NodeProto:
    return helper.make_node(kind, [source, scale, "z"], [result], name=result)


def pooled(second_scale: float, read_twice: bool = False) -> ModelProto:
    """Return Q, DQ, corner pooling, Q and DQ in a row."""
    nodes = [
        node(Q, "x", "q1"),
        node(D, "q1", "d1"),
        make_corner_pool("d1", "p", "left"),
        node(Q, "p", "q2", "s2"),
        node(D, "q2", "y", "s2"),
    ]
    outputs = {"y": MAP}
    if read_twice:
        nodes.append(helper.make_node("Relu", ["p"], ["r"]))
        outputs["r"] = MAP
    constants = {"s": np.float32(0.1), "s2": np.float32(second_scale), "z": np.int8(0)}
    return make_model(nodes, {"x": MAP}, outputs, constants)


@pytest.mark.parametrize(
    ("second_scale", "read_twice", "expected"),
    [
        (0.1, False, [Q, CORNER_POOL, D]),
        (0.1, True, [Q, CORNER_POOL, D, D, "Relu"]),
        (0.2, False, [Q, CORNER_POOL, D, Q, D]),
    ],
)
def test_pooling_moves_before_the_dequantize_node(
    second_scale: float, read_twice: bool, expected: list[str]
) -> None:
    x = np.random.default_rng(0).standard_normal(MAP[1], np.float32)
    want = run(pooled(second_scale, read_twice), x=x)
    model = pool_integers(pooled(second_scale, read_twice))
    assert sorted(op_types(model)) == sorted(expected)
    for before, after in zip(want, run(model, x=x), strict=True):
        np.testing.assert_array_equal(after, before)


def test_float_pooling_stays() -> None:
    model = make_model([make_corner_pool("x", "y", "top")], {"x": MAP}, {"y": MAP})
    pool_integers(model)
    assert op_types(model) == [CORNER_POOL]
