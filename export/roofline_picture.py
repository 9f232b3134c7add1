"""The roofline as a picture: layers under the roofs of a device; the one file here that draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.device_record import Device
from export.roofline_bound import LayerBound
from export.roofline_text import Roofline
from runtime.atomic_file import replace_when_done

# Colours that stay apart for every kind of colour vision (Okabe and Ito).
_COLORS = {
    "fp32": "#0072B2",
    "tf32": "#56B4E9",
    "fp16": "#009E73",
    "bf16": "#E69F00",
    "int8": "#D55E00",
}
DOTS_PER_INCH = 110
# Area of the largest marker, in square points.
_LARGEST = 260


def draw_roofline(found: Roofline, path: Path) -> Path:
    """Draw layers by operations per byte, under the roof of each precision; returns ``path``."""
    figure = roofline_figure(found)
    with replace_when_done(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, format="png")
    return path


def roofline_figure(found: Roofline) -> Figure:
    """Return the figure; a layer's area is its share of the floor."""
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    axes = figure.subplots()
    layers = [layer for layer in found.bound.layers if layer.intensity > 0]
    least = min((layer.intensity for layer in layers), default=1.0)
    most = max((layer.intensity for layer in layers), default=1.0)
    used = dict.fromkeys(layer.precision for layer in layers)
    ridge = max(
        found.device.operations_per_second(p) / found.device.bytes_per_second
        for p in used or ["fp32"]
    )
    span = (min(least, 1.0) / 2, 4 * max(most, ridge))
    _draw_roofs(axes, found.device, list(used), span)
    for precision in used:
        _draw_layers(axes, precision, [x for x in layers if x.precision == precision], found)
    title = f"{found.title} on {found.device.title} ({found.device.mode})"
    axes.set(xscale="log", yscale="log", xlim=span, title=title)
    axes.set(xlabel="operations per byte of memory traffic", ylabel="10^12 operations per second")
    axes.grid(visible=True, which="major", linewidth=0.4)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _draw_roofs(
    axes: Axes, device: Device, precisions: Sequence[str], span: tuple[float, float]
) -> None:
    for precision in precisions:
        peak = device.operations_per_second(precision)
        ridge = peak / device.bytes_per_second
        roof = [span[0] * device.bytes_per_second / 1e12, peak / 1e12, peak / 1e12]
        color = _COLORS[precision]
        axes.plot([span[0], ridge, span[1]], roof, color=color, linewidth=1.4)
        axes.annotate(
            f"{precision} {peak / 1e12:.3g} T/s",
            (span[1], peak / 1e12),
            textcoords="offset points",
            xytext=(-4, 4),
            ha="right",
            fontsize=8,
            color=color,
        )
    axes.annotate(
        f"memory {device.gigabytes_per_second.value:g} GB/s",
        (span[0], span[0] * device.bytes_per_second / 1e12),
        textcoords="offset points",
        xytext=(6, 0),
        fontsize=8,
        va="center",
    )


def _draw_layers(axes: Axes, precision: str, layers: Sequence[LayerBound], found: Roofline) -> None:
    """Put each layer where its floor lies: on a roof, or below it where CUDA cores bound it."""
    total_ms = found.bound.layered_ms
    rates = [layer.intensity * layer.traffic_bytes / layer.floor_ms / 1e9 for layer in layers]
    largest = max((layer.floor_ms for layer in found.bound.layers), default=1.0)
    share = sum(layer.floor_ms for layer in layers) / total_ms if total_ms else 0.0
    axes.scatter(
        [layer.intensity for layer in layers],
        rates,
        s=[_LARGEST * layer.floor_ms / largest + 4 for layer in layers],
        color=_COLORS[precision],
        alpha=0.45,
        linewidths=0.5,
        edgecolors="black",
        label=f"{len(layers)} {precision} layers, {share:.0%} of the floor",
    )
