"""Measured times beside the floor: layers of a profile joined to layers of the count by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from export.device_record import Device, is_called
from export.roofline_bound import LayerBound, NetworkBound
from runtime.errors import UsageError
from runtime.layers import NO_MODULE, module_of
from runtime.measurement import Measurement, Run
from runtime.measurement_file import read_measurement


@dataclass(frozen=True)
class MeasuredRun:
    """A run of a measurement, and where it was measured.

    Attributes:
        run: What was measured of one artifact.
        device: What measured it, as it calls itself.
    """

    run: Run
    device: str

    @property
    def network_ms(self) -> float:
        """Median time of the network alone."""
        return self.run.journey.bare.p50_ms


@dataclass(frozen=True)
class LayerComparison:
    """Layers that run as one, here or there, with both times.

    Attributes:
        name: Of the first layer that was counted.
        floor_ms: Of all its layers.
        measured_ms: Likewise.
    """

    name: str
    floor_ms: float
    measured_ms: float


@dataclass(frozen=True)
class Predicted:
    """A measurement beside the floor.

    Attributes:
        measured: What was measured.
        layers: In the order of the graph.
        elsewhere_ms: Measured in layers that belong to no node that was counted.
    """

    measured: MeasuredRun
    layers: tuple[LayerComparison, ...]
    elsewhere_ms: float


def read_measured(path: Path, model: str | None, size_hw: tuple[int, int] | None) -> MeasuredRun:
    """Read a measurement of ``runtime/measure.py`` and choose the run of this network.

    Raises:
        UsageError: If the file cannot be read, is of another version, or holds no run of it.
    """
    measurement = read_measurement(path)
    for run in measurement.runs:
        if model in (None, run.model) and size_hw in (None, run.size_hw):
            return MeasuredRun(run, _device_name(run, measurement))
    listed = ", ".join(f"{x.model} {x.size_hw[0]}x{x.size_hw[1]}" for x in measurement.runs)
    size = f" {size_hw[0]}x{size_hw[1]}" if size_hw else ""
    raise UsageError(
        f"{path} holds {listed or 'no run'}; expected {model}{size}; measure that, or count another"
    )


def device_notice(measured: MeasuredRun, device: Device) -> str:
    """Return one line if the measurement is of another device; "" if it is of this one."""
    if is_called(device, measured.device):
        return ""
    return f"notice: measured on {measured.device}, bounded on {device.title}: shares mean nothing"


def compare_layers(bound: NetworkBound, measured: MeasuredRun) -> Predicted:
    """Join counted and measured layers that share nodes, directly or through others.

    A node that the count does not have, as those that a runtime makes of corner pooling, goes to
    its module's layers.
    """
    exact = {node: i for i, x in enumerate(bound.layers) for node in x.layer.nodes}
    modules: dict[str, list[int]] = {}
    for i, counted in enumerate(bound.layers):
        for module in dict.fromkeys(map(module_of, counted.layer.nodes)):
            modules.setdefault(module, []).append(i)
    groups = _Groups(len(bound.layers))
    elsewhere_ms, homes = 0.0, []
    for layer in measured.run.layers.layers if measured.run.layers else ():
        found = _layers_of(layer.nodes, exact, modules)
        if found:
            groups.unite(found)
            homes.append((found[0], median(layer.times_ms)))
        else:
            elsewhere_ms += median(layer.times_ms)
    times: dict[int, float] = {}
    for index, time_ms in homes:
        times[groups.root(index)] = times.get(groups.root(index), 0.0) + time_ms
    rows = tuple(
        _row([bound.layers[i] for i in members], times[root])
        for root, members in groups.members().items()
        if root in times
    )
    return Predicted(measured, rows, elsewhere_ms)


class _Groups:
    """Which layers belong together; each group's first layer is its root."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, index: int) -> int:
        while self._parents[index] != index:
            index = self._parents[index]
        return index

    def unite(self, indices: Sequence[int]) -> None:
        roots = sorted({self.root(index) for index in indices})
        for other in roots[1:]:
            self._parents[other] = roots[0]

    def members(self) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = {}
        for index in range(len(self._parents)):
            groups.setdefault(self.root(index), []).append(index)
        return groups


def _layers_of(
    nodes: Sequence[str], exact: Mapping[str, int], modules: Mapping[str, list[int]]
) -> list[int]:
    found = [exact[node] for node in nodes if node in exact]
    if not found:
        paths = [module_of(node) for node in nodes]
        found = [i for path in paths if path != NO_MODULE for i in modules.get(path, [])]
    return list(dict.fromkeys(found))


def _row(layers: Sequence[LayerBound], measured_ms: float) -> LayerComparison:
    return LayerComparison(layers[0].layer.name, sum(x.floor_ms for x in layers), measured_ms)


def _device_name(run: Run, measurement: Measurement) -> str:
    """Return the GPU's or board's name; the processor's where the run used no GPU."""
    machine = measurement.machine
    names = (run.device.name if run.device else "", machine.get("gpu"), machine.get("cpu"))
    return next((str(name) for name in names if name and name != "none used"), "an unnamed machine")
