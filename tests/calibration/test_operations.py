"""Multiply-adds of convolutions, counted by hand beside."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from calibration.operations import multiply_adds, operation_share, share_of_plan
from calibration.quantize_rules import plan_quantization
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network
from tests.export.tiny_models import Shape, make_model


def one_convolution(
    kind: str, weights: tuple[int, ...], shape: Shape, **attributes: object
) -> dict[str, int]:
    node = helper.make_node(kind, ["x", "w"], ["y"], name="a/Conv", **attributes)
    model = make_model(
        [node],
        {"x": (TensorProto.FLOAT, shape)},
        {"y": (TensorProto.FLOAT, [None] * 4)},
        {"w": np.zeros(weights, np.float32)},
    )
    return multiply_adds(model)


def test_a_convolution() -> None:
    # 8 x 5 x 5 outputs, each of 4 channels of 3 x 3
    counted = one_convolution("Conv", (8, 4, 3, 3), (1, 4, 10, 10), strides=[2, 2], pads=[1] * 4)
    assert counted == {"a/Conv": 8 * 5 * 5 * 4 * 9}


def test_a_batch_of_any_size_counts_as_one_image() -> None:
    assert one_convolution("Conv", (2, 4, 1, 1), ("N", 4, 3, 3)) == {"a/Conv": 2 * 3 * 3 * 4}
    assert one_convolution("Conv", (2, 4, 1, 1), (7, 4, 3, 3)) == {"a/Conv": 2 * 3 * 3 * 4}


def test_groups_see_their_own_channels() -> None:
    assert one_convolution("Conv", (4, 1, 3, 3), (1, 4, 5, 5), group=4) == {"a/Conv": 4 * 9 * 9}


def test_a_transposed_convolution_spreads_its_inputs() -> None:
    counted = one_convolution("ConvTranspose", (4, 8, 2, 2), (1, 4, 5, 5), strides=[2, 2])
    assert counted == {"a/Conv": 4 * 5 * 5 * 8 * 4}


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(CalibrationError, match="size of convolution 'a/Conv' is unknown"):
        one_convolution("Conv", (2, 4, 1, 1), (1, 4, "H", "W"))


def test_the_share_of_a_plan() -> None:
    model = make_tiny_network()
    operations, plan = multiply_adds(model), plan_quantization(model)
    share = share_of_plan(operations, plan)
    floats = operations["stem/Conv"] + operations["head.1/Conv"]
    assert share.total == sum(operations.values()) and share.int8 == share.total - floats
    assert share.convolutions == 9 and 0 < share.percent < 100


def test_shares_at_the_ends() -> None:
    assert operation_share({"a": 3, "b": 1}, ["a", "b"]).percent == 100
    assert operation_share({"a": 3, "b": 1}, []).percent == 0
    assert operation_share({}, []).percent == 0
