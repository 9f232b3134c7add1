"""What a stream says about itself, in the text format of Prometheus.

Names follow https://prometheus.io/docs/practices/naming: base units, ``_total`` for what only
grows. Every label's values are known from the options (cameras, lines, zones, sinks) or fixed in
the program (states, stages), so that their number is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, SinkStatus, StreamControl, StreamStatus
from runtime.timing import StageSummary

CAMERA_COUNTERS = (  # metric, help, field of CameraStatus
    ("cornerrt_camera_frames_captured", "Pictures received from a camera.", "captured"),
    ("cornerrt_camera_frames_dropped", "Of these, lost because the network was busy.", "dropped"),
    ("cornerrt_camera_frames_skipped", "Of these, left out on purpose.", "skipped"),
    ("cornerrt_camera_results", "Pictures that went through the network.", "results"),
    ("cornerrt_camera_detections", "Boxes on them.", "detections"),
    ("cornerrt_camera_reconnects", "Times a camera was lost and came back.", "reconnects"),
)


def metrics_text(control: StreamControl) -> bytes:
    """Return a running stream's figures in the text format, version 0.0.4, UTF-8."""
    return generate_latest(_registry(control))


def metrics_app(control: StreamControl) -> Callable[..., Any]:
    """Return a WSGI application that answers with a running stream's figures."""
    return make_wsgi_app(_registry(control))


class StreamCollector(Collector):
    """Turns a snapshot of a stream into metrics, at every scrape anew.

    Args:
        control: The stream.
    """

    def __init__(self, control: StreamControl) -> None:
        self._control = control

    def collect(self) -> Iterable[Metric]:
        """Return all metrics of one snapshot."""
        status = self._control.status()
        yield from _stream_metrics(status)
        yield from _camera_counters(status.cameras)
        yield from _camera_gauges(status.cameras, time.monotonic_ns())
        yield from _tracking_metrics(status.cameras)
        yield from _sink_metrics(status.sinks)


def _registry(control: StreamControl) -> CollectorRegistry:
    # One of our own: the library's global one may hold another program part's metrics.
    registry = CollectorRegistry()
    registry.register(StreamCollector(control))
    ProcessCollector(registry=registry)
    return registry


def _stream_metrics(status: StreamStatus) -> Iterator[Metric]:
    build = {"model": status.model, "precision": status.precision, "backend": status.backend}
    yield InfoMetricFamily("cornerrt_build", "What runs.", value=build)
    yield GaugeMetricFamily(
        "cornerrt_uptime_seconds", "Since the stream was started.", value=status.seconds
    )
    yield GaugeMetricFamily(
        "cornerrt_score_threshold_ratio", "Lowest score that is shown.", value=status.score
    )
    stages = Metric("cornerrt_stage_duration_seconds", "Of each stage, per picture.", "summary")
    for stage, times in status.stages.items():
        _add_summary(stages, {"stage": stage}, times)
    yield stages


def _camera_counters(cameras: Sequence[CameraStatus]) -> Iterator[Metric]:
    for name, text, field in CAMERA_COUNTERS:
        counter = CounterMetricFamily(name, text, labels=["camera"])
        for camera in cameras:
            counter.add_metric([camera.name], getattr(camera, field))
        yield counter


def _camera_gauges(cameras: Sequence[CameraStatus], now_ns: int) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "cornerrt_camera_state", "1 for the state a camera is in.", labels=["camera", "state"]
    )
    rates = GaugeMetricFamily(
        "cornerrt_camera_frames_per_second", "Results, latest seconds.", labels=["camera"]
    )
    ages = GaugeMetricFamily(
        "cornerrt_camera_result_age_seconds",
        "Of the newest result, from capture until it was finished.",
        labels=["camera"],
    )
    silences = GaugeMetricFamily(
        "cornerrt_camera_since_last_result_seconds", "Since the newest result.", labels=["camera"]
    )
    for camera in cameras:
        for state in SourceState:
            states.add_metric([camera.name, state.value], float(camera.state is state))
        rates.add_metric([camera.name], camera.frames_per_second)
        if camera.age_ms is not None:
            ages.add_metric([camera.name], camera.age_ms / 1e3)
        if camera.last_result_ns is not None:
            silences.add_metric([camera.name], (now_ns - camera.last_result_ns) / 1e9)
    yield from (states, rates, ages, silences)


def _tracking_metrics(cameras: Sequence[CameraStatus]) -> Iterator[Metric]:
    crossings = CounterMetricFamily(
        "cornerrt_line_crossings",
        "Objects that crossed a line.",
        labels=["camera", "line", "direction"],
    )
    zones = GaugeMetricFamily(
        "cornerrt_zone_objects", "Objects in a zone now.", labels=["camera", "zone"]
    )
    for camera in cameras:
        for line, counts in camera.line_counts.items():
            for direction, count in counts.items():
                crossings.add_metric([camera.name, line, direction], count)
        for zone, count in camera.zone_counts.items():
            zones.add_metric([camera.name, zone], count)
    yield crossings
    yield zones


def _sink_metrics(sinks: Sequence[SinkStatus]) -> Iterator[Metric]:
    published = CounterMetricFamily(
        "cornerrt_sink_results_published", "Results that a sink took.", labels=["sink"]
    )
    dropped = CounterMetricFamily(
        "cornerrt_sink_results_dropped", "Results that it had no time for.", labels=["sink"]
    )
    failed = GaugeMetricFamily("cornerrt_sink_failed", "1 if it was given up.", labels=["sink"])
    times = Metric(
        "cornerrt_sink_publish_duration_seconds", "How long a result took a sink.", "summary"
    )
    for name, sink in zip(_unique([sink.name for sink in sinks]), sinks, strict=True):
        published.add_metric([name], sink.published)
        dropped.add_metric([name], sink.dropped)
        failed.add_metric([name], float(bool(sink.problem)))
        if sink.publish_ms is not None:
            _add_summary(times, {"sink": name}, sink.publish_ms)
    yield from (published, dropped, failed, times)


def _add_summary(metric: Metric, labels: dict[str, str], times: StageSummary) -> None:
    """Add quantiles over the latest pictures, and sum and count over all."""
    quantiles = {"0.5": times.p50_ms, "0.95": times.p95_ms, "0.99": times.p99_ms}
    for quantile, milliseconds in quantiles.items():
        metric.add_sample(metric.name, {**labels, "quantile": quantile}, milliseconds / 1e3)
    metric.add_sample(f"{metric.name}_sum", labels, times.mean_ms * times.count / 1e3)
    metric.add_sample(f"{metric.name}_count", labels, times.count)


def _unique(names: Sequence[str]) -> list[str]:
    """Return names with a number where one comes again: two series of one name are an error."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result
