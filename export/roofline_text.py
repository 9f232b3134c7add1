"""The roofline as text: what it is, totals, layers, stages, changes, sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from export.byte_counts import Network
from export.device_record import Device
from export.operation_counts import Operations
from export.roofline_bound import LayerBound, NetworkBound, by_stage, total_operations
from export.roofline_changes import Change
from export.roofline_measured import LayerComparison, Predicted, device_notice
from runtime.terminal_lines import wrap_line

NAME_WIDTH = 36
LEGEND = "MMAC: million multiply-adds; Mop: million other operations; MB: moved; by: what binds"
# What every reader must know of the figures.
LEFT_OUT = (
    "This is a bound, not a promise: no runtime reaches the peaks of a datasheet.",
    "Left out: starting kernels, copying frames, letterbox and soft-NMS, clocks and memory that",
    "other programs take, fusion that a runtime does not do. Convolutions count as they are",
    "defined: Winograd's transformation does with fewer multiplications, 2:4 sparsity likewise.",
)
TWO_BOUNDS = (
    "Whole network: all arithmetic at the peak, or frame, detections and the weights beyond the L2",
    "once through memory: no fusion is faster. Layer by layer: every fused layer's tensors once",
    "through memory: what stays in the L2, or is fused deeper, can be faster.",
)


@dataclass(frozen=True)
class Roofline:
    """All that one call finds out.

    Attributes:
        title: The network.
        size_hw: Of its input; None if unknown.
        batch: Frames per run.
        counted_as: Precision that was asked for, or else the graph's own.
        device: With the peaks of its datasheet.
        network: What was counted.
        bound: With the peaks of the datasheet.
        ceiling_bound: With measured ceilings; None without.
        changes: Rows by the title of their table.
        predicted: Beside a measurement; None without.
    """

    title: str
    size_hw: tuple[int, int] | None
    batch: int
    counted_as: str
    device: Device
    network: Network
    bound: NetworkBound
    ceiling_bound: NetworkBound | None
    changes: dict[str, Sequence[Change]]
    predicted: Predicted | None


def roofline_text(found: Roofline, top: int, depth: int) -> str:
    """Return everything as text.

    Args:
        found: What to show.
        top: Layers to list, those with the highest floor; 0 for all, in the order of the graph.
        depth: Names of a module's path that make a stage.
    """
    parts = (
        _head(found),
        _totals(found),
        _layer_table(found.bound, top),
        _stage_table(found.bound, depth),
        *(_change_table(title, rows) for title, rows in found.changes.items() if rows),
        _predicted(found, top) if found.predicted else (),
        _sources(found.device),
    )
    return "\n\n".join(text for lines in parts if (text := "\n".join(lines)))


def _head(found: Roofline) -> Iterator[str]:
    """Yield the answer: what it is, how fast it can be at most, and what its time is bound by."""
    size = f" {found.size_hw[0]}x{found.size_hw[1]}" if found.size_hw else ""
    batch = f", batch {found.batch}" if found.batch > 1 else ""
    device, bound = found.device, found.bound
    yield from wrap_line(
        f"{found.title}{size}{batch}, {bound.precision}, on {device.title} ({device.mode}): "
        "a bound, not a promise"
    )
    yield from _floor_lines("", bound, found.batch)
    if found.ceiling_bound is not None:
        yield from _floor_lines("at measured ceilings, ", found.ceiling_bound, found.batch)
    if bound.layers:
        highest = max(bound.layers, key=lambda layer: layer.floor_ms)
        yield from wrap_line(
            f"highest layer: {highest.layer.name}, {_time(highest.floor_ms)} ms "
            f"({highest.floor_ms / bound.layered_ms:.1%}), bound by {highest.bound_by}"
        )
    if bound.precision == "fp32" and "tf32" in device.tera_operations:
        yield from wrap_line(
            "notice: fp32 in CUDA cores; TensorRT computes an fp32 network in TF32 unless told "
            "otherwise, which is faster: --precision tf32"
        )
    for kind, count in found.network.unknown.items():
        yield f"notice: {count} x {kind} is not known here: counted as no operations"


def _floor_lines(title: str, bound: NetworkBound, batch: int) -> Iterator[str]:
    limit = "math" if bound.math_ms > bound.compulsory_ms else "memory"
    whole, layered = (
        f"{_time(time_ms)} ms, at most {_rate(time_ms / batch)} FPS"
        for time_ms in (bound.whole_ms, bound.layered_ms)
    )
    yield f"{title}whole network at least {whole}, bound by {limit}"
    yield f"{title}layer by layer at least {layered}, {bound.share_by_memory:.0%} bound by memory"


def _totals(found: Roofline) -> Iterator[str]:
    bound, operations = found.bound, found.network.operations
    yield from wrap_line(
        f"multiply-adds {_giga(operations.multiply_adds)} G, other operations "
        f"{_giga(operations.others)} G, weights {_mega(bound.weight_bytes)} MB, "
        f"traffic layer by layer {_mega(bound.traffic_bytes)} MB in {len(bound.layers)} layers"
    )
    yield from TWO_BOUNDS
    yield from LEFT_OUT


def _layer_table(bound: NetworkBound, top: int) -> Iterator[str]:
    layers: Sequence[LayerBound] = bound.layers
    shown = sorted(layers, key=lambda x: x.floor_ms, reverse=True)[:top] if top else layers
    chosen = f"the {len(shown)} highest floors of {len(layers)}" if top else "all"
    yield (
        f"{f'layers, {chosen}':<{NAME_WIDTH}} {'type':>5} {'MMAC':>8} {'Mop':>7} {'MB':>7} "
        f"{'op/byte':>7} {'floor ms':>8} {'by':>6} {'share':>6}"
    )
    for layer in shown:
        operations = layer.layer.operations
        yield (
            f"{_cut(layer.layer.name)} {layer.precision:>5} {operations.multiply_adds / 1e6:>8.1f} "
            f"{operations.others / 1e6:>7.2f} {_mega(layer.traffic_bytes):>7} "
            f"{layer.intensity:>7.1f} {_time(layer.floor_ms):>8} {layer.bound_by:>6} "
            f"{layer.floor_ms / bound.layered_ms:>6.1%}"
        )
    yield LEGEND


def _stage_table(bound: NetworkBound, depth: int) -> Iterator[str]:
    yield (
        f"{'stages':<{NAME_WIDTH}} {'layers':>6} {'GMAC':>9} {'MB':>8} {'floor ms':>9} {'share':>6}"
    )
    for stage, layers in by_stage(bound, depth).items():
        operations: Operations = total_operations(layers)
        floor_ms = sum(layer.floor_ms for layer in layers)
        traffic = sum(layer.traffic_bytes for layer in layers)
        yield (
            f"{_cut(stage)} {len(layers):>6} {_giga(operations.multiply_adds):>9} "
            f"{_mega(traffic):>8} {_time(floor_ms):>9} {floor_ms / bound.layered_ms:>6.1%}"
        )


def _change_table(title: str, rows: Sequence[Change]) -> Iterator[str]:
    yield (
        f"{title:<{NAME_WIDTH}} {'GMAC':>9} {'layers ms':>10} {'FPS':>8} {'network ms':>11} "
        f"{'FPS':>8}"
    )
    for row in rows:
        start = f"{_cut(row.label)} {_giga(row.multiply_adds):>9}"
        if row.whole_ms is None:
            yield f"{start}   this device has no such arithmetic"
            continue
        layered = (
            f"{'-':>10} {'-':>8}"
            if row.layered_ms is None
            else f"{_time(row.layered_ms):>10} {_rate(row.layered_ms):>8}"
        )
        yield f"{start} {layered} {_time(row.whole_ms):>11} {_rate(row.whole_ms):>8}"


def _predicted(found: Roofline, top: int) -> Iterator[str]:
    assert found.predicted is not None
    predicted, bound = found.predicted, found.bound
    measured = predicted.measured
    if notice := device_notice(measured, found.device):
        yield from wrap_line(notice)
    if measured.run.precision != found.counted_as:
        yield (
            f"notice: measured in {measured.run.precision}, bounded as {found.counted_as}; "
            "count the file that was measured"
        )
    yield f"measured: {measured.run.artifact.rpartition('/')[2]}"
    yield f"{'layers':<{NAME_WIDTH}} {'floor ms':>9} {'ms':>9} {'reached':>8}"
    rows = sorted(predicted.layers, key=lambda row: row.measured_ms, reverse=True)
    for row in rows[:top] if top else predicted.layers:
        yield _predicted_line(row)
    if predicted.elsewhere_ms:
        title = "in no layer that was counted"
        yield f"{title:<{NAME_WIDTH}} {'-':>9} {_time(predicted.elsewhere_ms):>9}"
    for title, floor_ms in (
        ("network, layer by layer", bound.layered_ms),
        ("network, whole", bound.whole_ms),
    ):
        yield _predicted_line(LayerComparison(title, floor_ms, measured.network_ms))


def _predicted_line(row: LayerComparison) -> str:
    reached = row.floor_ms / row.measured_ms if row.measured_ms else 0.0
    return f"{_cut(row.name)} {_time(row.floor_ms):>9} {_time(row.measured_ms):>9} {reached:>8.1%}"


def _sources(device: Device) -> Iterator[str]:
    yield f"peaks of {device.name}, dense, GPU alone (no DLA):"
    for precision, figure in device.tera_operations.items():
        yield from wrap_line(
            f"  {precision:<5} {figure.value:8.2f} T/s   {figure.evidence.value}: {figure.source}"
        )
    memory, cache = device.gigabytes_per_second, device.l2_mebibytes
    yield from wrap_line(
        f"  memory {memory.value:7.1f} GB/s  {memory.evidence.value}: {memory.source}"
    )
    if cache is None:
        yield "  L2 of unknown size: the whole-network floor assumes that it holds the weights"
    else:
        yield from wrap_line(
            f"  L2     {cache.value:7.1f} MiB   {cache.evidence.value}: {cache.source}"
        )


def _cut(name: str) -> str:
    """Return a name in the width of its column; of a long one the end, which tells more."""
    return f"{name if len(name) <= NAME_WIDTH else '…' + name[1 - NAME_WIDTH :]:<{NAME_WIDTH}}"


def _giga(count: int) -> str:
    return f"{count / 1e9:.3f}"


def _mega(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f}"


def _time(time_ms: float) -> str:
    """Return milliseconds with three figures that mean something, however small."""
    return f"{time_ms:.3f}" if time_ms >= 0.1 else f"{time_ms:.4f}"


def _rate(time_ms: float) -> str:
    rate = 1e3 / time_ms if time_ms else 0.0
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"
