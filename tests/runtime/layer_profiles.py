"""Profiles made by hand, for whatever shows them."""

from __future__ import annotations

from runtime.layers import LayerProfile, LayerTime


def layer(name: str, milliseconds: float, kind: str = "Conv", precision: str = "fp32") -> LayerTime:
    """Return a layer of one node, or of none where the name is no node's."""
    nodes = (name,) if "/" in name else ()
    return LayerTime(name, kind, nodes, precision, (milliseconds,))


def profile_of(*layers: LayerTime, notes: tuple[str, ...] = ()) -> LayerProfile:
    """Return a profile of layers, whose runs took 12 ms, and 11 ms without a profiler."""
    return LayerProfile("onnxruntime 1.0", layers, (12.0,), (11.0,), notes)


SMALL = profile_of(
    layer("stem.0.conv/Conv", 4.0),
    layer("hourglass.up1.0.conv1/Conv", 3.0, "QLinearConv", "int8"),
    layer("hourglass.up1.0.conv2/Conv", 1.0, "QLinearConv", "int8"),
    layer("hourglass.low1.0/Add", 0.5, "QLinearAdd", "int8"),
    layer("ReorderOutput", 0.5, "ReorderOutput"),
    layer("decode/TopK", 0.75, "TopK"),
    layer("decode/Mod", 0.25, "Mod", ""),
)
