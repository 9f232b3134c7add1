"""What another precision, input size or network would buy, on one device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detectors.registry import DETECTORS, find_spec
from export.device_record import PRECISIONS, Device
from export.layer_fusion import fuse_layers
from export.roofline_bound import bound_network, bound_totals
from export.roofline_family import measure_family_member
from export.roofline_graph import precision_of, size_graph
from export.roofline_subject import Subject

_PRECISION_LABELS = {"tf32": "tf32: TensorRT's default for fp32"}
# Sides of the input relative to what is looked at, before they are made to fit the network.
_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Change:
    """One row of what could be.

    Attributes:
        label: What changes.
        multiply_adds: For one frame.
        layered_ms: Floor layer by layer, per frame; None where only totals are known.
        whole_ms: Floor of the whole network, per frame; None if the device cannot do it.
    """

    label: str
    multiply_adds: int
    layered_ms: float | None
    whole_ms: float | None


def change_precision(subject: Subject, device: Device) -> list[Change]:
    """Return the floors at every precision, all of the network in it; none unless it is FP32."""
    graph = size_graph(subject.graph, subject.size_hw)
    if precision_of(graph) != "fp32":
        return []
    network = fuse_layers(graph)
    multiply_adds = network.operations.multiply_adds
    rows = []
    for precision in PRECISIONS:
        label = _PRECISION_LABELS.get(precision, precision)
        if precision not in device.tera_operations:
            rows.append(Change(label, multiply_adds, None, None))
            continue
        bound = bound_network(network, device, precision)
        rows.append(Change(label, multiply_adds, bound.layered_ms, bound.whole_ms))
    return rows


def change_size(
    subject: Subject, device: Device, precision: str | None, sizes: Iterable[tuple[int, int]]
) -> list[Change]:
    """Return the floors at other input sizes: the same graph, every size inferred anew."""
    rows = []
    for size_hw in sizes:
        network = fuse_layers(size_graph(subject.graph, size_hw))
        bound = bound_network(network, device, precision)
        operations = network.operations.multiply_adds
        label = f"{size_hw[0]}x{size_hw[1]}"
        rows.append(Change(label, operations, bound.layered_ms, bound.whole_ms))
    return rows


def change_network(
    device: Device, precision: str, names: Sequence[str] = tuple(DETECTORS)
) -> list[Change]:
    """Return the floors of the registry's networks as a whole, each at its own input size."""
    rows = []
    for name in names:
        size_hw = find_spec(name).default_size_hw
        size = measure_family_member(name, size_hw)
        whole_ms = bound_totals(
            size.multiply_adds, size.weight_elements, size.frame_bytes, precision, device
        )
        label = f"{name} {size_hw[0]}x{size_hw[1]}"
        rows.append(Change(label, size.multiply_adds, None, whole_ms))
    return rows


def sizes_around(subject: Subject) -> list[tuple[int, int]]:
    """Return input sizes that the network takes, from half of its side to twice that.

    None if it is not in the registry: then nobody knows what sizes it takes.
    """
    if subject.model is None or subject.model not in DETECTORS or subject.size_hw is None:
        return []
    spec = find_spec(subject.model)

    def fit(side: int, scale: float) -> int:
        steps = max(1, round((side + spec.size_remainder) * scale / spec.size_divisor))
        return int(steps * spec.size_divisor - spec.size_remainder)

    height, width = subject.size_hw
    fitting = ((fit(height, scale), fit(width, scale)) for scale in _SCALES)
    return list(dict.fromkeys(fitting))
