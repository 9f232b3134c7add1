"""The answer to "trtexec says 4 ms, my program takes 12": the way line by line, as text."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.layer_table import rank_layers
from runtime.layers import NO_MODULE, LayerProfile
from runtime.measure_gap import (
    BESIDE,
    BETWEEN,
    NETWORK_IN_PLACE,
    WAITING,
    GapLine,
    LineKind,
    advice_on,
    gap_lines,
    largest_parts,
)
from runtime.measurement import Run
from runtime.terminal_lines import cut_line, wrap_line

NAME_WIDTH = 30
# What a line of the first table is, for readers who meet the word there.
MEANINGS = {
    "bare network": "the network alone, its input ready: what trtexec tells",
    NETWORK_IN_PLACE: "the same network among the other stages",
    "capture": "reading and decoding a picture",
    "letterbox": "scaling it to the network's size, with borders",
    "enqueue": "the host's calls before the GPU starts",
    "copy in": "from host to GPU",
    "copy out": "from GPU to host",
    "soft-NMS": "lower scores where boxes overlap, boxes back in the picture",
    "draw": "boxes into the picture",
    "publish": "a line of JSON",
    BETWEEN: "the program's own loop",
    BESIDE: "a live result does not wait for them",
    WAITING: "for a free stage, and for cores that stages share",
}


def gap_text(run: Run) -> Iterator[str]:
    """Yield what lies between the bare network and a live result, and what to do about it.

    Args:
        run: What was measured of one artifact.
    """
    yield "from the bare network to a live result, mean ms"
    for line in gap_lines(run):
        part = "-" if line.mean_ms < 0 else "+"
        sign = {LineKind.PART: part, LineKind.SUM: "=", LineKind.START: " "}[line.kind]
        time = f"{sign} {line.name:<{NAME_WIDTH - 2}}{abs(line.mean_ms):>9.2f}"
        yield f"{time}  {_meaning(run, line)}".rstrip()
    for line in largest_parts(run):
        if advice := advice_on(line):
            yield from wrap_line(f"  {line.name} ({line.mean_ms:.2f} ms): {advice}")
    if run.layers is not None:
        yield from _slowest_layer(run.layers)


def _meaning(run: Run, line: GapLine) -> str:
    """Return what a line is, in a few words; of the sums, the rate."""
    if line.kind is not LineKind.SUM:
        return MEANINGS.get(line.name, "")
    if run.live is not None and line.latency is run.live.age:
        live = run.live
        return f"at {live.frames_per_second:g} pictures per second, {live.dropped} dropped"
    rate = 1e3 / line.mean_ms if line.mean_ms > 0 else 0.0
    return f"one frame after another: {rate:.1f} FPS"


def _slowest_layer(layers: LayerProfile) -> Iterator[str]:
    for slowest in rank_layers(layers, 1):
        layer = slowest.layer
        name = layer.name if layer.module == NO_MODULE else layer.module
        yield cut_line(
            f"  slowest layer: {name}, {layer.median_ms:.3f} ms, {slowest.share:.1%} of "
            "all layers; more below"
        )
