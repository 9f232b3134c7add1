"""The time below which a device cannot run a network, layer by layer and as a whole.

Two bounds, since one figure cannot be both near and hard:

* layer by layer, the usual roofline: every fused layer takes at least the time of its arithmetic
  at the peak, or of its bytes at the memory's peak, whichever is longer. A runtime that fuses
  deeper than ``byte_counts`` or whose tensors stay in the cache can be faster.
* the whole network: all arithmetic at the peak, or the bytes that no fusion and no cache of this
  size can save: frames in, detections out, and the weights beyond the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.byte_counts import PRECISION_BYTES, Layer, Network, bytes_of
from export.device_record import Device
from export.operation_counts import Operations

MATH, MEMORY = "math", "memory"


@dataclass(frozen=True)
class LayerBound:
    """The floor of one layer.

    Attributes:
        layer: The layer.
        precision: Of its arithmetic, as counted.
        traffic_bytes: That it moves at least.
        math_ms: Its arithmetic at the device's peak.
        memory_ms: Its bytes at the device's peak.
    """

    layer: Layer
    precision: str
    traffic_bytes: int
    math_ms: float
    memory_ms: float

    @property
    def floor_ms(self) -> float:
        """The longer of the two."""
        return max(self.math_ms, self.memory_ms)

    @property
    def bound_by(self) -> str:
        """Which of the two is longer."""
        return MATH if self.math_ms > self.memory_ms else MEMORY

    @property
    def intensity(self) -> float:
        """Operations per byte, multiply and add as two."""
        operations = self.layer.operations
        return (2 * operations.multiply_adds + operations.others) / max(self.traffic_bytes, 1)


@dataclass(frozen=True)
class NetworkBound:
    """The floors of a network on a device.

    Attributes:
        precision: What was counted: "fp32" and so on, or "as written".
        layers: In the order of the graph.
        math_ms: All arithmetic at the device's peaks.
        compulsory_bytes: Frames, detections and the weights beyond the cache.
        compulsory_ms: These at the memory's peak.
        weight_bytes: All weights, each once.
    """

    precision: str
    layers: tuple[LayerBound, ...]
    math_ms: float
    compulsory_bytes: int
    compulsory_ms: float
    weight_bytes: int

    @property
    def layered_ms(self) -> float:
        """Layer by layer: the sum of the layers' floors."""
        return sum(layer.floor_ms for layer in self.layers)

    @property
    def whole_ms(self) -> float:
        """The whole network: no fusion and no order of layers is faster."""
        return max(self.math_ms, self.compulsory_ms)

    @property
    def traffic_bytes(self) -> int:
        """Bytes that all layers move, layer by layer."""
        return sum(layer.traffic_bytes for layer in self.layers)

    @property
    def share_by_memory(self) -> float:
        """Part of the layer-by-layer floor in layers bound by memory, 0 to 1."""
        by_memory = sum(layer.floor_ms for layer in self.layers if layer.bound_by == MEMORY)
        return by_memory / self.layered_ms if self.layers else 0.0


def bound_network(network: Network, device: Device, precision: str | None = None) -> NetworkBound:
    """Bound a network on a device.

    Args:
        network: Its layers.
        device: What it runs on.
        precision: If given, all that is FP32 in the graph counts as this; else the graph counts
            as it is written, and FP32 beside other types as TF32 where the device has that:
            TensorRT does so by itself.

    Raises:
        UsageError: If the device has no arithmetic of a precision that is needed.
    """
    layers = tuple(_bound_layer(layer, device, precision) for layer in network.layers)
    weights = bytes_of(network.constants, precision)
    borders = bytes_of(network.borders, precision)
    compulsory = borders + _beyond_cache(weights, device)
    matrix_ms = sum(_matrix_ms(x.layer.operations, x.precision, device) for x in layers)
    vector_ms = sum(_vector_ms(x.layer.operations, x.precision, device) for x in layers)
    return NetworkBound(
        precision or "as written",
        layers,
        max(matrix_ms, vector_ms),  # tensor cores and CUDA cores work side by side
        compulsory,
        1e3 * compulsory / device.bytes_per_second,
        weights,
    )


def bound_totals(
    multiply_adds: int, weight_elements: int, border_bytes: int, precision: str, device: Device
) -> float:
    """Return the floor of a whole network in ms where only its totals are known.

    Raises:
        UsageError: If the device has no such arithmetic.
    """
    weights = weight_elements * PRECISION_BYTES[precision]
    compulsory = border_bytes + _beyond_cache(weights, device)
    math_ms = _matrix_ms(Operations(multiply_adds), precision, device)
    return max(math_ms, 1e3 * compulsory / device.bytes_per_second)


def by_stage(bound: NetworkBound, depth: int) -> dict[str, list[LayerBound]]:
    """Return layers by the first names of their modules' paths, in order."""
    stages: dict[str, list[LayerBound]] = {}
    for layer in bound.layers:
        stage = ".".join(layer.layer.module.split(".")[:depth])
        stages.setdefault(stage, []).append(layer)
    return stages


def total_operations(layers: Sequence[LayerBound]) -> Operations:
    """Return the operations of layers together."""
    return sum((layer.layer.operations for layer in layers), Operations())


def _bound_layer(layer: Layer, device: Device, precision: str | None) -> LayerBound:
    own = layer.precision
    if own == "fp32":
        own = precision or ("tf32" if "tf32" in device.tera_operations else "fp32")
    traffic = layer.traffic_bytes(precision)
    matrix_ms = _matrix_ms(layer.operations, own, device)
    vector_ms = _vector_ms(layer.operations, own, device)
    memory_ms = 1e3 * traffic / device.bytes_per_second
    return LayerBound(layer, own, traffic, max(matrix_ms, vector_ms), memory_ms)


def _matrix_ms(operations: Operations, precision: str, device: Device) -> float:
    if not operations.multiply_adds:
        return 0.0
    return 2e3 * operations.multiply_adds / device.operations_per_second(precision)


def _vector_ms(operations: Operations, precision: str, device: Device) -> float:
    """Return the time of what CUDA cores do, numbers packed as far as 32 bits take them."""
    packed = 4 / PRECISION_BYTES[precision]
    return 1e3 * operations.others / (device.vector_operations_per_second * packed)


def _beyond_cache(weight_bytes: int, device: Device) -> int:
    """Return the bytes of weights that cannot stay in the cache from frame to frame."""
    if device.l2_bytes is None:
        return 0  # of unknown size: it may hold them all
    return max(0, weight_bytes - device.l2_bytes)
