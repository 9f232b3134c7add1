"""Every convolution can have a bias of its own."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from calibration.biases import convolution_outputs, own_biases, read_biases, write_biases
from tests.calibration.tiny_network import make_tiny_network
from tests.calibration.tiny_source import run_tensor
from tests.export.tiny_models import make_model, run

X = np.random.default_rng(0).normal(0, 1, (1, 4, 3, 3)).astype(np.float32)


def make_pair(kind: str = "Conv", group: int = 1, bias: bool = True) -> tuple[list[str], bytes]:
    """Two convolutions that share weights and, if they have one, a bias."""
    operands = ["w", "b"] if bias else ["w"]
    nodes = [
        helper.make_node(kind, ["x", *operands], ["a"], group=group),
        helper.make_node(kind, ["x", *operands], ["c"], group=group),
        helper.make_node("Add", ["a", "c"], ["y"]),
    ]
    constants = {"w": np.ones((4, 4 // group, 1, 1), np.float32), "b": np.ones(4, np.float32)}
    model = make_model(
        nodes, {"x": (TensorProto.FLOAT, X.shape)}, {"y": (TensorProto.FLOAT, X.shape)}, constants
    )
    return ["a", "c"], model.SerializeToString()


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_shared_and_missing_biases_become_own_ones(kind: str, group: int, bias: bool) -> None:
    outputs, data = make_pair(kind, group, bias)
    model = type(make_tiny_network()).FromString(data)
    expected = run(model, x=X)[0]

    own_biases(model, outputs)
    np.testing.assert_array_equal(run(model, x=X)[0], expected)
    write_biases(model, {"a": read_biases(model, ["a"])["a"] + 2})

    np.testing.assert_allclose(run(model, x=X)[0], expected + 2, rtol=1e-6)


def test_doing_it_twice_changes_nothing() -> None:
    model = make_tiny_network()
    outputs = convolution_outputs(model.graph.node)
    once = own_biases(model, outputs).SerializeToString()

    assert own_biases(model, outputs).SerializeToString() == once
    np.testing.assert_array_equal(
        run_tensor(model, "heat"), run_tensor(make_tiny_network(), "heat")
    )


def test_convolutions_that_are_not_named_keep_theirs() -> None:
    outputs, data = make_pair()
    model = own_biases(type(make_tiny_network()).FromString(data), outputs[:1])

    assert [list(node.input) for node in model.graph.node[:2]] == [
        ["x", "w", "a/bias"],
        ["x", "w", "b"],
    ]
