"""Floors of layers and networks, computed by hand for a device with round peaks."""

from __future__ import annotations

import pytest
from onnx import TensorProto

from export.byte_counts import Layer, Network
from export.device_peaks import find_device
from export.operation_counts import Operations
from export.roofline_bound import (
    MATH,
    MEMORY,
    bound_network,
    bound_totals,
    by_stage,
    total_operations,
)
from runtime.errors import UsageError
from tests.export.rooflines import network_of, plain_device, two_convolutions

FLOAT = TensorProto.FLOAT


def layer(name: str, operations: Operations, elements: int, precision: str = "fp32") -> Layer:
    """Return a layer that reads ``elements`` floats and writes nothing."""
    return Layer((f"{name}/Conv",), "Conv", precision, operations, {"x": (elements, FLOAT)}, {}, {})


def network(*layers: Layer, weights: int = 0) -> Network:
    constants = {"w": (weights, FLOAT)}
    return Network(layers, constants, {"frames": (1000, FLOAT)}, {})


# At 1e12 operations and 1e9 bytes per second: 1 ms of math, 2 ms of memory.
HEAVY = layer("a.b.heavy", Operations(500_000_000), 100)
WIDE = layer("a.c.wide", Operations(), 500_000)


def test_a_layer_takes_the_longer_of_math_and_memory() -> None:
    heavy, wide = bound_network(network(HEAVY, WIDE), plain_device()).layers
    assert heavy.math_ms == pytest.approx(1.0) and heavy.memory_ms == pytest.approx(4e-4)
    assert (heavy.floor_ms, heavy.bound_by) == (pytest.approx(1.0), MATH)
    assert (wide.floor_ms, wide.bound_by) == (pytest.approx(2.0), MEMORY)
    assert heavy.intensity == pytest.approx(1e9 / 400) and wide.intensity == 0


def test_layer_by_layer_is_the_sum_and_the_whole_network_less() -> None:
    bound = bound_network(network(HEAVY, WIDE), plain_device())
    assert bound.layered_ms == pytest.approx(3.0)
    assert bound.math_ms == pytest.approx(1.0) and bound.whole_ms == pytest.approx(1.0)
    assert bound.compulsory_bytes == 4000 and bound.traffic_bytes == 4 * 500_100
    assert bound.share_by_memory == pytest.approx(2 / 3)


def test_weights_that_fit_in_the_cache_need_not_come_again() -> None:
    heavy_weights = network(HEAVY, weights=2**20)  # 4 MiB of floats
    assert bound_network(heavy_weights, plain_device(8)).compulsory_bytes == 4000
    assert bound_network(heavy_weights, plain_device(3)).compulsory_bytes == 4000 + 2**20
    assert bound_network(heavy_weights, plain_device(None)).compulsory_bytes == 4000
    half = bound_network(heavy_weights, plain_device(1), "fp16")
    assert half.weight_bytes == 2 * 2**20 and half.compulsory_bytes == 2000 + 2**20


def test_another_precision_has_its_own_peak_and_size() -> None:
    whole = network(HEAVY, WIDE)
    half = bound_network(whole, plain_device(), "fp16")
    assert [x.precision for x in half.layers] == ["fp16", "fp16"]
    assert half.layered_ms == pytest.approx(0.5 + 1.0)
    assert bound_network(whole, plain_device(), "int8").layered_ms == pytest.approx(0.25 + 0.5)


def test_a_quantised_layer_keeps_its_precision() -> None:
    quantised = layer("q", Operations(500_000_000), 100, "int8")
    bound = bound_network(network(quantised, HEAVY), plain_device())
    assert [x.floor_ms for x in bound.layers] == [pytest.approx(0.25), pytest.approx(1.0)]
    assert bound.precision == "as written"


def test_other_operations_run_in_cuda_cores_packed_beside_tensor_cores() -> None:
    both = layer("both", Operations(500_000_000, 3_000_000_000), 100)
    single = bound_network(network(both), plain_device())
    assert single.layers[0].math_ms == pytest.approx(3.0)  # not 1 + 3
    half = bound_network(network(both), plain_device(), "fp16")
    assert half.layers[0].math_ms == pytest.approx(1.5)


def test_the_whole_network_overlaps_them_too() -> None:
    vectors = layer("vectors", Operations(0, 3_000_000_000), 100)
    bound = bound_network(network(HEAVY, vectors), plain_device())
    assert bound.layered_ms == pytest.approx(4.0) and bound.math_ms == pytest.approx(3.0)


def test_a_device_without_the_arithmetic_is_refused() -> None:
    with pytest.raises(UsageError, match="plain has no bf16"):
        bound_network(network(HEAVY), plain_device(), "bf16")
    # without a multiply-add nothing is missing
    assert bound_network(network(WIDE), plain_device(), "bf16").layered_ms > 0


def test_totals_bound_as_the_network_does() -> None:
    device = plain_device(1)
    found = network_of(two_convolutions())
    expected = bound_network(found, device, "fp16").math_ms
    totals = bound_totals(found.operations.multiply_adds, 0, 0, "fp16", device)
    assert totals == pytest.approx(2e3 * found.operations.multiply_adds / 2e12)
    assert totals <= expected
    assert bound_totals(0, 2**20, 1000, "fp32", device) == pytest.approx((3 * 2**20 + 1000) / 1e6)


def test_stages_are_beginnings_of_module_paths() -> None:
    bound = bound_network(network(HEAVY, WIDE), plain_device())
    assert list(by_stage(bound, 1)) == ["a"] and list(by_stage(bound, 2)) == ["a.b", "a.c"]
    assert total_operations(by_stage(bound, 1)["a"]) == Operations(500_000_000)


def test_an_empty_network() -> None:
    bound = bound_network(network(), plain_device())
    assert bound.layered_ms == 0 and bound.share_by_memory == 0


def test_fp32_beside_other_types_counts_as_what_tensorrt_makes_of_it() -> None:
    network = network_of(two_convolutions())
    for name, expected in (("orin-nano", "tf32"), ("t4", "fp32")):
        bound = bound_network(network, find_device(name))
        assert {layer.precision for layer in bound.layers} == {expected}
    asked = bound_network(network, find_device("orin-nano"), "fp32")
    assert {layer.precision for layer in asked.layers} == {"fp32"}
