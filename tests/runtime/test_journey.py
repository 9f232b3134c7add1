"""Frames through all stages: no gaps between stages, parts of a call, and the summary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runtime import journey
from runtime.backend_base import Outputs, PreparedFrame
from runtime.backend_synthetic import SyntheticBackend
from runtime.errors import OutputError
from runtime.journey import FrameSequence, JourneySamples, journey_of
from runtime.layers import LayerProfile, LayerTime
from runtime.measured_clip import Clip, ClipReader
from runtime.postprocess import PostprocessOptions
from runtime.spans import STAGES, FrameSpans, Span
from tests.builders import picture
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

MILLISECOND = 1_000_000
ON_A_PROCESSOR = ["capture", "letterbox", "network", "soft-NMS", "draw", "publish"]


@pytest.fixture(name="sink")
def fake_sink() -> FakeSink:
    return FakeSink(delay_s=0.002)


@pytest.fixture(name="sequence")
def frame_sequence(sink: FakeSink) -> FrameSequence:
    backend = SyntheticBackend(delay_s=0.003)
    backend.open()
    clip = Clip("fake", 30.0, lambda: FakeSource([picture()] * 3, interval_s=0.001))
    return FrameSequence(backend, ClipReader(clip), PostprocessOptions(), sink)


def test_stages_follow_each_other_without_gaps_and_sum_to_the_whole(
    sequence: FrameSequence, sink: FakeSink
) -> None:
    for number in range(5):
        frame = sequence.next_frame()
        assert [span.stage for span in frame.spans] == ON_A_PROCESSOR
        assert frame.spans[0].started_ns == frame.started_ns
        assert frame.spans[-1].ended_ns == frame.ended_ns
        for before, after in zip(frame.spans, frame.spans[1:], strict=False):
            assert before.ended_ns == after.started_ns
        assert sum(span.milliseconds for span in frame.spans) == pytest.approx(frame.milliseconds)
        assert (frame.sequence, frame.is_warmup) == (number, False)
    assert len(sink.results) == 5 and len(sink.results[0].detections) == 4


def test_every_stage_holds_its_own_work(sequence: FrameSequence) -> None:
    times = {span.stage: span.milliseconds for span in sequence.next_frame().spans}
    assert times["capture"] >= 1.0 and times["network"] >= 3.0 and times["publish"] >= 2.0


@pytest.mark.parametrize(
    ("name", "stage"), [("detections_from_raw", "soft-NMS"), ("drawn_result", "draw")]
)
def test_what_this_file_calls_is_timed_as_its_stage(
    sink: FakeSink, monkeypatch: pytest.MonkeyPatch, name: str, stage: str
) -> None:
    action = getattr(journey, name)

    def slowly(*arguments: Any) -> Any:
        time.sleep(0.3)
        return action(*arguments)

    monkeypatch.setattr(journey, name, slowly)
    backend = SyntheticBackend()
    backend.open()
    reader = ClipReader(Clip("fake", 30.0, lambda: FakeSource([picture()])))
    spans = FrameSequence(backend, reader, PostprocessOptions(), sink).next_frame().spans
    assert [span.stage for span in spans if span.milliseconds >= 300] == [stage]


def test_boxes_are_drawn_before_they_are_published(sequence: FrameSequence, sink: FakeSink) -> None:
    sequence.next_frame()
    assert "annotated" in vars(sink.results[0])
    assert not np.array_equal(sink.results[0].annotated, sink.results[0].frame.image)


def test_the_bare_network_runs_on_one_picture_that_lies_ready(sequence: FrameSequence) -> None:
    sequence.next_frame()
    times = [sequence.bare_network_ms() for _ in range(4)]
    assert min(times) >= 3.0
    assert sequence.next_frame().sequence == 1  # bare runs are no frames


def test_a_stage_that_fails_is_not_hidden() -> None:
    backend = SyntheticBackend()
    backend.open()
    reader = ClipReader(Clip("fake", 30.0, lambda: FakeSource([picture()])))
    sequence = FrameSequence(backend, reader, PostprocessOptions(), FakeSink(fail_at=0))
    with pytest.raises(OutputError, match="fake sink is full"):
        sequence.next_frame()


def test_each_stage_is_marked_for_whoever_looks_on(sink: FakeSink) -> None:
    entered: list[str] = []

    @contextlib.contextmanager
    def mark(stage: str) -> Iterator[None]:
        entered.append(stage)
        yield

    backend = SyntheticBackend()
    backend.open()
    reader = ClipReader(Clip("fake", 30.0, lambda: FakeSource([picture()])))
    FrameSequence(backend, reader, PostprocessOptions(), sink, mark).next_frame()
    assert entered == ON_A_PROCESSOR


class GpuBackend(SyntheticBackend):
    """Tells parts of its call, and letterboxes there."""

    prepare_stage = "copy in"

    def infer_timed(self, frame: PreparedFrame) -> tuple[Outputs, dict[str, float]]:
        outputs = self.infer_prepared(frame)
        time.sleep(0.004)
        return outputs, {
            "enqueue": 0.5,
            "copy in": 0.25,
            "letterbox": 0.5,
            "network": 1.5,
            "copy out": 0.25,
        }


def test_parts_of_the_call_become_stages_in_its_time(sink: FakeSink) -> None:
    backend = GpuBackend()
    backend.open()
    reader = ClipReader(Clip("fake", 30.0, lambda: FakeSource([picture()])))
    frame = FrameSequence(backend, reader, PostprocessOptions(), sink).next_frame()
    names = [span.stage for span in frame.spans]
    assert names[1:7] == ["copy in", "enqueue", "copy in", "letterbox", "network", "copy out"]
    lengths = [span.milliseconds for span in frame.spans[2:6]]
    assert lengths == pytest.approx([0.5, 0.25, 0.5, 1.5], abs=1e-3)
    assert frame.spans[6].milliseconds >= 0.25 + 1.0  # what nobody told goes to the last
    assert sum(span.milliseconds for span in frame.spans) == pytest.approx(frame.milliseconds)


def planned(sequence: int, network_ms: int, is_warmup: bool = False) -> FrameSpans:
    """Return a frame of 1 ms publishing, 2 ms capture and a network's time, in odd order."""
    spans, at = [], 0
    for stage, milliseconds in (("publish", 1), ("own stage", 3), ("network", network_ms)):
        spans.append(Span(stage, at, at + milliseconds * MILLISECOND))
        at += milliseconds * MILLISECOND
    return FrameSpans(sequence, is_warmup, tuple(spans), 0, at)


SAMPLES = JourneySamples(
    ((planned(1, 10), planned(2, 12)), (planned(3, 99, True), planned(4, 14))), (9.0, 11.0)
)


def test_a_journey_keeps_rounds_tables_order_and_warmup() -> None:
    made = journey_of(SAMPLES.after([planned(0, 50, True)]), None)
    assert [stage.stage for stage in made.stages] == ["network", "publish", "own stage"]
    assert made.rounds_ms == ((14.0, 16.0), (18.0,))
    assert made.stages[0].rounds_ms == ((10.0, 12.0), (14.0,))
    assert made.stages[0].latency.mean_ms == 12.0 and made.end_to_end.mean_ms == 16.0
    assert made.warmup_ms == (54.0, 103.0)
    assert made.bare.mean_ms == 10.0 and made.decode_ms is None
    assert sum(bar.count for bar in made.histogram) == made.end_to_end.count == 3
    total_ms = sum(stage.latency.mean_ms for stage in made.stages)
    assert total_ms == pytest.approx(made.end_to_end.mean_ms, rel=0.02)


def test_decoding_is_its_layers_share_of_the_bare_networks_median() -> None:
    layers = (
        LayerTime("a", "Conv", ("stem/Conv",), "fp32", (6.0, 6.0)),
        LayerTime("b", "TopK", ("decode/TopK",), "", (2.0, 2.0)),
    )
    samples = replace(SAMPLES, bare_ms=(9.0, 8.0, 40.0))
    made = journey_of(samples, LayerProfile("onnxruntime", layers, (20.0,)))
    assert made.decode_ms == pytest.approx(0.25 * 9.0)


def test_a_round_without_frames_that_count_is_left_out() -> None:
    samples = JourneySamples(((planned(0, 5, True),), (planned(1, 5),)), (1.0,))
    assert [len(round_) for round_ in samples.counted_rounds] == [1]


def test_all_stages_of_a_processor_have_their_place() -> None:
    assert [stage for stage in STAGES if stage in ON_A_PROCESSOR] == ON_A_PROCESSOR


@pytest.mark.usefixtures("no_library")
def test_on_a_gpu_every_stage_has_its_place_and_all_sum_to_the_whole(
    gpu_letterbox: None, backend: Any, sink: FakeSink
) -> None:
    reader = ClipReader(Clip("fake", 30.0, lambda: FakeSource([picture()] * 3)))
    sequence = FrameSequence(backend, reader, PostprocessOptions(), sink)
    frames = tuple(sequence.next_frame() for _ in range(6))
    samples = JourneySamples((frames,), (sequence.bare_network_ms(),))
    made = journey_of(samples, None)
    assert [stage.stage for stage in made.stages] == list(STAGES)
    total_ms = sum(stage.latency.mean_ms for stage in made.stages)
    assert total_ms == pytest.approx(made.end_to_end.mean_ms, rel=0.02)
    assert len(sink.results[0].detections) > 0
