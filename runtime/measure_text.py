"""A measurement as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.latency import Bar, Latency
from runtime.layer_table import profile_text
from runtime.measure_gap_text import NAME_WIDTH, gap_text
from runtime.measurement import Comparison, Device, Measurement, Memory, Run
from runtime.terminal_lines import cut_line, wrap_line

PERCENTILE_HEADS = ("mean", "p50", "p90", "p95", "p99", "max")
BAR_WIDTH = 40
# Fewer frames than this and p99 is between the two slowest ones.
FRAMES_FOR_P99 = 100


def measurement_text(measurement: Measurement) -> str:
    """Return all figures as text, artifact by artifact, comparisons last."""
    lines: list[str] = []
    for run in measurement.runs:
        lines += [*run_lines(run), ""]
    lines += _comparison_lines(measurement.comparisons)
    return "\n".join(lines).rstrip()


def run_lines(run: Run) -> Iterator[str]:
    """Yield one artifact's figures, line by line."""
    height, width = run.size_hw
    yield from wrap_line(
        f"{run.artifact}: {run.model} {width}x{height} {run.precision} on {run.backend}"
    )
    yield from gap_text(run)
    yield ""
    yield from _stage_lines(run)
    yield from _histogram_lines(run.journey.histogram)
    yield from _throughput_lines(run)
    yield from _single_lines(run)
    if run.device is not None:
        for line in _device_lines(run.device):
            yield from wrap_line(line)
    if run.layers is not None:
        yield ""
        for line in profile_text(run.layers):
            yield from wrap_line(line) if line.startswith("note: ") else [cut_line(line)]


def _stage_lines(run: Run) -> Iterator[str]:
    journey = run.journey
    warmup = journey.warmup_ms
    if warmup:
        yield (
            f"warm-up, not counted: {len(warmup)} frames, the first {warmup[0]:.2f} ms, the "
            f"slowest {max(warmup):.2f} ms, the last {warmup[-1]:.2f} ms"
        )
    head = "".join(f"{name:>9}" for name in PERCENTILE_HEADS)
    yield f"{f'{run.frames} frames, ms':<{NAME_WIDTH}}{head}{'share':>8}"
    total_ms = journey.end_to_end.mean_ms
    for stage in journey.stages:
        share = stage.latency.mean_ms / total_ms
        yield f"{_latency_row(stage.stage, stage.latency)}{share:>8.1%}"
    yield _latency_row("end to end", journey.end_to_end)
    yield _latency_row("bare network", journey.bare)
    if journey.decode_ms is not None:  # a share of the median, below it
        yield f"{'  of it decode, by layers':<{NAME_WIDTH}}{'':9}{journey.decode_ms:>9.2f}"
    if run.live is not None:
        yield _latency_row("live age", run.live.age)
    if run.frames < FRAMES_FOR_P99:
        yield f"with fewer than {FRAMES_FOR_P99} frames, p99 says little more than max"


def _latency_row(name: str, latency: Latency) -> str:
    values = [getattr(latency, f"{head}_ms") for head in PERCENTILE_HEADS]
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{value:>9.2f}" for value in values)


def _histogram_lines(bars: tuple[Bar, ...]) -> Iterator[str]:
    """Yield the end-to-end times as bars; a row of empty ones between two others is one line."""
    yield "end to end, frames per bar"
    most = max((bar.count for bar in bars), default=1)
    for before, bar in zip((None, *bars), bars, strict=False):
        if bar.count == 0:
            if before is None or before.count:
                yield "  ..."
            continue
        length = -(-bar.count * BAR_WIDTH // most)  # one frame of a tail still shows
        span = f"{bar.from_ms:>8.2f} to {bar.to_ms:>8.2f} ms"
        yield f"  {span:<{NAME_WIDTH - 2}}{bar.count:>7} {'#' * length}".rstrip()


def _throughput_lines(run: Run) -> Iterator[str]:
    if run.throughput:
        yield f"{'network alone, batch':<{NAME_WIDTH}}{'FPS':>9}{'p50 ms':>9}{'p99 ms':>9}"
    for entry in run.throughput:
        latency = entry.latency
        yield (
            f"{entry.batch:<{NAME_WIDTH}}{entry.frames_per_second:>9.1f}{latency.p50_ms:>9.2f}"
            f"{latency.p99_ms:>9.2f}"
        )


def _single_lines(run: Run) -> Iterator[str]:
    if run.live is not None:
        live = run.live
        yield (
            f"live at {live.frames_per_second:g} pictures per second: {live.results} results, "
            f"{live.dropped} dropped"
        )
    if run.cold_start is not None:
        cold = run.cold_start
        yield (
            f"cold start {cold.total_ms:.0f} ms: imports {cold.imports_ms:.0f}, opening "
            f"{cold.open_ms:.0f}, first frame {cold.first_frame_ms:.0f}"
        )
    if run.memory is not None:
        yield from _memory_lines(run.memory)


def _memory_lines(memory: Memory) -> Iterator[str]:
    opening = memory.host_open - memory.host_before_open
    yield (
        f"host memory: {_mebibytes(memory.host_before_open)} before, "
        f"{_mebibytes(opening)} by opening, {_mebibytes(memory.host_peak)} at most"
    )
    if memory.device_open is not None and memory.device_running is not None:
        yield (
            f"GPU memory: {_mebibytes(memory.device_open)} by opening, "
            f"{_mebibytes(memory.device_running)} running"
        )


def _device_lines(device: Device) -> Iterator[str]:
    mode = f", power mode {device.power_mode}" if device.power_mode else ""
    yield f"{device.name}{mode}"
    for title, values, unit in (
        ("power, mean", device.power_mw, "mW"),
        ("hottest", device.temperatures_c, "C"),
        ("clocks, mean", device.clocks_mhz, "MHz"),
    ):
        if values:
            each = ", ".join(f"{name} {value:.0f}" for name, value in values.items())
            yield f"  {title}: {each} {unit}"
    if device.energy_mj_per_frame is not None:
        yield f"  energy: {device.energy_mj_per_frame:.1f} mJ per frame, idle included"
    if device.throttled:
        yield f"  throttled: {', '.join(device.throttled)}"
    yield from (f"  not read: {reason}" for reason in device.missing)
    if len(device.windows) > 1:
        first, last = device.windows[0].end_to_end.p99_ms, device.windows[-1].end_to_end.p99_ms
        yield f"  p99 of the first part {first:.2f} ms, of the last {last:.2f} ms"


def _comparison_lines(comparisons: tuple[Comparison, ...]) -> Iterator[str]:
    """Yield ratios, pair by pair in the order of their first figures."""
    pairs = dict.fromkeys((one.artifact, one.baseline) for one in comparisons)
    for artifact, baseline in pairs:
        yield from wrap_line(
            f"{artifact} against {baseline}, ratio of times with its 95 % interval"
        )
        for one in comparisons:
            if (one.artifact, one.baseline) == (artifact, baseline):
                yield f"  {one.figure:<{NAME_WIDTH - 2}}{_ratio_text(one)}  {one.verdict}"


def _ratio_text(comparison: Comparison) -> str:
    if comparison.low is None or comparison.high is None:
        return f"{comparison.ratio:>9.3f}"
    return f"{comparison.ratio:>9.3f} ({comparison.low:.3f} to {comparison.high:.3f})"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
