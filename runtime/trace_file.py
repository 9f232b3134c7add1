"""A run as a timeline: Chrome's trace-event JSON, which Perfetto and chrome://tracing open.

Every artifact is a process with its frames, each holding its stages, as complete events; the device
is one more process with a counter for everything that it tells. Times are microseconds since the
first frame.

Source: "Trace Event Format", the document that chromium.googlesource.com/catapult links from
docs/trace-event-format.md: the JSON object format, complete (X), counter (C) and metadata (M)
events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.atomic_file import write_text
from runtime.device_samples import DeviceSample
from runtime.layers import LayerProfile
from runtime.spans import FrameSpans, counted

Event = dict[str, Any]
FRAMES_THREAD, LAYERS_THREAD, THROTTLING_THREAD = 1, 2, 3
NO_SAMPLES: tuple[DeviceSample, ...] = ()


def write_trace(
    path: Path,
    frames_by_artifact: Mapping[str, Sequence[FrameSpans]],
    device_samples: Sequence[DeviceSample] = NO_SAMPLES,
    layers: Mapping[str, LayerProfile] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a timeline, completely or not at all.

    Args:
        path: The JSON file; its folder is created.
        frames_by_artifact: All frames of each artifact, warm-up too, in the order measured.
        device_samples: What the device told meanwhile.
        layers: Profiles of artifacts, by the same names; laid out once, as medians, under the
            network of the first frame that counts, since profiled runs are others than the frames.
        facts: What a viewer shows as the trace's metadata, such as the command and the machine;
            of plain types.

    Raises:
        OSError: If the file cannot be written.
    """
    events = list(_events(frames_by_artifact, device_samples, layers or {}))
    body = {
        "displayTimeUnit": "ms",
        "otherData": {"format": "CornerRT timeline", **(facts or {})},
        "traceEvents": events,
    }
    write_text(path, json.dumps(body, separators=(",", ":")) + "\n")


@dataclass(frozen=True)
class _Process:
    """A row of the viewer's timeline, and the clock's reading that is its zero."""

    number: int
    zero_ns: int

    def at(self, clock_ns: int) -> float:
        """Return a reading of the clock in microseconds since zero."""
        return (clock_ns - self.zero_ns) / 1000

    def name(self, text: str) -> Iterator[Event]:
        """Yield what names the process and keeps processes in our order."""
        common = {"ph": "M", "pid": self.number, "tid": 0, "ts": 0}
        yield {**common, "name": "process_name", "args": {"name": text}}
        yield {**common, "name": "process_sort_index", "args": {"sort_index": self.number}}

    def name_thread(self, thread: int, text: str) -> Event:
        """Return what names a thread of the process."""
        common = {"ph": "M", "pid": self.number, "tid": thread, "ts": 0}
        return {**common, "name": "thread_name", "args": {"name": text}}

    def complete(self, thread: int, name: str, start_end_us: tuple[float, float]) -> Event:
        """Return an event with a beginning and an end."""
        start, end = start_end_us
        common = {"ph": "X", "pid": self.number, "tid": thread}
        return {**common, "name": name, "ts": start, "dur": round(end - start, 3)}

    def counter(self, name: str, clock_ns: int, unit: str, value: float) -> Event:
        """Return a value that holds until the next one of the same name."""
        common = {"ph": "C", "pid": self.number, "tid": 0}
        return {**common, "name": name, "ts": self.at(clock_ns), "args": {unit: value}}


def _events(
    frames_by_artifact: Mapping[str, Sequence[FrameSpans]],
    device_samples: Sequence[DeviceSample],
    layers: Mapping[str, LayerProfile],
) -> Iterator[Event]:
    starts = [frame.started_ns for frames in frames_by_artifact.values() for frame in frames]
    zero_ns = min(starts or [sample.at_ns for sample in device_samples], default=0)
    for number, (artifact, frames) in enumerate(frames_by_artifact.items(), 1):
        process = _Process(number, zero_ns)
        yield from process.name(artifact)
        yield process.name_thread(FRAMES_THREAD, "frames")
        for frame in frames:
            yield from _frame_events(process, frame)
        if artifact in layers:
            yield from _layer_events(process, frames, layers[artifact])
    if device_samples:
        yield from _device_events(_Process(len(frames_by_artifact) + 1, zero_ns), device_samples)


def _frame_events(process: _Process, frame: FrameSpans) -> Iterator[Event]:
    """Yield a frame, which holds its stages since it is as long as all of them."""
    kind = "warm-up" if frame.is_warmup else "frame"
    args = {"frame": frame.sequence, "warm-up": frame.is_warmup}
    whole = (process.at(frame.started_ns), process.at(frame.ended_ns))
    event = process.complete(FRAMES_THREAD, f"{kind} {frame.sequence}", whole)
    yield {**event, "cat": kind, "args": args}
    for span in frame.spans:
        part = (process.at(span.started_ns), process.at(span.ended_ns))
        yield {**process.complete(FRAMES_THREAD, span.stage, part), "cat": kind, "args": args}


def _layer_events(
    process: _Process, frames: Sequence[FrameSpans], profile: LayerProfile
) -> Iterator[Event]:
    """Yield layers one after another with their medians, from where a network's stage begins."""
    spans = [span for frame in counted(frames) for span in frame.spans if span.stage == "network"]
    if not spans:
        return
    yield process.name_thread(LAYERS_THREAD, f"layers, medians of a profile by {profile.runtime}")
    start_us = process.at(spans[0].started_ns)
    for layer in profile.layers:
        if not layer.times_ms:
            continue
        end_us = start_us + float(np.median(layer.times_ms)) * 1000
        event = process.complete(LAYERS_THREAD, layer.name, (round(start_us, 3), end_us))
        args = {"kind": layer.kind, "precision": layer.precision, "modules": list(layer.modules)}
        yield {**event, "cat": "layer", "args": args}
        start_us = end_us


def _device_events(process: _Process, samples: Sequence[DeviceSample]) -> Iterator[Event]:
    """Yield a counter for each rail, zone and clock: stacked in one, rails would count twice."""
    yield from process.name("device")
    for sample in samples:
        readings = (
            ("power", "mW", sample.power_mw),
            ("temperature", "degrees C", sample.temperatures_c),
            ("clock", "MHz", sample.clocks_mhz),
            ("load", "share", sample.loads),
        )
        for kind, unit, values in readings:
            for name, value in values.items():
                yield process.counter(f"{kind} {name}", sample.at_ns, unit, value)
    yield from _throttling_events(process, samples)


def _throttling_events(process: _Process, samples: Sequence[DeviceSample]) -> Iterator[Event]:
    """Yield every stretch of samples in which one thing held clocks back."""
    since_ns: dict[str, int] = {}
    events = []
    # What is still on at the end lasted up to the last sample.
    last = DeviceSample(samples[-1].at_ns)
    for sample in (*samples, last):
        for name in [name for name in since_ns if name not in sample.throttled]:
            stretch = (process.at(since_ns.pop(name)), process.at(sample.at_ns))
            events.append(process.complete(THROTTLING_THREAD, name, stretch))
        for name in sample.throttled:
            since_ns.setdefault(name, sample.at_ns)
    if events:
        yield process.name_thread(THROTTLING_THREAD, "throttling")
        yield from events
