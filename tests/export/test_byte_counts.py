"""The bytes that layers move, counted by hand beside."""

from __future__ import annotations

from onnx import TensorProto

from export.byte_counts import bytes_of
from export.operation_counts import Operations
from tests.export.rooflines import network_of, two_convolutions


def test_two_convolutions_by_hand() -> None:
    found = network_of(two_convolutions())
    first, second = found.layers
    assert first.nodes == ("stem/Conv", "stem/Relu") and second.nodes == ("head.last/Conv",)
    assert first.operations == Operations(64 * 4 * 27, 64 * 4)
    # x and 4 x 3 x 3 x 3 weights and 4 biases in, 4 channels out; then 4 channels in and out
    assert first.traffic_bytes() == 4 * (3 * 64 + 108 + 4 + 256)
    assert second.traffic_bytes() == 4 * (256 + 16 + 256)
    assert bytes_of(found.constants) == 4 * (108 + 4 + 16)
    assert bytes_of(found.borders) == 4 * (192 + 256)
    assert (first.module, second.module) == ("stem", "head.last")


def test_another_precision_changes_the_size_of_floats_alone() -> None:
    found = network_of(two_convolutions())
    assert found.layers[1].traffic_bytes("fp16") == 2 * (256 + 16 + 256)
    assert found.layers[1].traffic_bytes("int8") == 256 + 16 + 256
    assert found.layers[1].traffic_bytes("tf32") == found.layers[1].traffic_bytes("fp32")
    assert bytes_of({"frames": (10, TensorProto.UINT8)}, "fp16") == 10
