"""All threads: order, dropping, errors and a clean end. No test depends on how fast it runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from runtime import pipeline as pipeline_module
from runtime import sink_group
from runtime.backend_base import Outputs
from runtime.backend_synthetic import SyntheticBackend
from runtime.detections import Detections
from runtime.errors import BackendError, CornerRTError, OutputError, SourceError
from runtime.flow import Analysis, Batching, CameraInput, Dropping, FlowOptions
from runtime.frame_buffer import DropPolicy
from runtime.frames import FrameResult
from runtime.pipeline import JOIN_TIMEOUT_S, Pipeline
from runtime.sinks import Sink
from runtime.source_reader import ReaderOptions
from runtime.source_state import BackoffOptions, SourceState
from runtime.sources import Source, SourceSpec
from runtime.stream_status import StreamSummary
from runtime.tracks import Tracks
from tests.builders import picture
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

SOON = ReaderOptions(backoff=BackoffOptions(first_s=0.001, longest_s=0.002))


def camera(source: Source, name: str = "gate", analyse: Analysis | None = None) -> CameraInput:
    def open_again() -> Source:
        raise SourceError("nobody answers")

    return CameraInput(SourceSpec(name, source.is_live, open_again), source, analyse)


def pipeline_of(
    source: Source | Sequence[CameraInput],
    backend: SyntheticBackend,
    sinks: Sequence[Sink],
    **options: object,
) -> Pipeline:
    cameras = source if isinstance(source, list) else [camera(source)]
    flow = FlowOptions(**{"reader": SOON, **options})  # type: ignore[arg-type]
    return Pipeline(cameras, backend, sinks, flow)


def run(
    source: Source | Sequence[CameraInput],
    backend: SyntheticBackend,
    sinks: Sequence[Sink] = (),
    **options: object,
) -> StreamSummary:
    return pipeline_of(source, backend, sinks, **options).run()


def synthetic(delay_s: float = 0.0) -> SyntheticBackend:
    backend = SyntheticBackend(delay_s)
    backend.open()
    return backend


class FailingBackend(SyntheticBackend):
    """Fails on a given frame; the warm-up is frame -1."""

    def __init__(self, fail_at: int) -> None:
        super().__init__()
        self._left = fail_at + 1

    def _run(self, batch: np.ndarray) -> Outputs:
        self._left -= 1
        if self._left < 0:
            raise BackendError("network melted")
        return super()._run(batch)


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    yield
    left = [
        t
        for t in threading.enumerate()
        if t.name.split()[0] in {"capture", "inference", "results", "sink"}
    ]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)


def sequences(sink: FakeSink) -> list[int]:
    return [result.frame.sequence for result in sink.results]


def test_a_file_is_presented_completely_and_in_order() -> None:
    source, sink = FakeSource([picture()] * 30), FakeSink()
    summary = run(source, synthetic(), [sink])
    assert sequences(sink) == list(range(30))
    assert (summary.frames, summary.dropped) == (30, 0)
    assert summary.detections == sum(len(r.detections) for r in sink.results) > 0
    assert summary.frames_per_second > 0
    assert source.closed


@pytest.mark.parametrize(("network_s", "sink_s"), [(0.01, 0.0), (0.0, 0.01)])
def test_a_file_loses_nothing_however_slow_a_stage_is(network_s: float, sink_s: float) -> None:
    sink = FakeSink(delay_s=sink_s)
    summary = run(FakeSource([picture()] * 20), synthetic(network_s), [sink])
    assert sequences(sink) == list(range(20))
    assert summary.dropped == 0


@pytest.mark.parametrize(("network_s", "sink_s"), [(0.02, 0.0), (0.0, 0.02)])
def test_a_live_source_loses_old_pictures_and_counts_them(network_s: float, sink_s: float) -> None:
    source = FakeSource([picture()] * 60, is_live=True, interval_s=0.001)
    sink = FakeSink(delay_s=sink_s)
    summary = run(source, synthetic(network_s), [sink])
    got = sequences(sink)
    assert got == sorted(set(got))
    assert got[-1] == 59  # the latest always arrives
    assert summary.frames + summary.dropped == 60
    assert len(got) + summary.sinks[0].dropped == summary.frames
    assert len(got) < 60


def test_every_stage_is_timed() -> None:
    sink = FakeSink()
    summary = run(FakeSource([picture()] * 3), synthetic(), [sink])
    assert list(summary.stages) == ["capture", "letterbox", "network", "postprocess", "age"]
    assert all(stage.count == 3 and stage.p50_ms >= 0 for stage in summary.stages.values())
    assert summary.stages["age"].p50_ms >= summary.stages["network"].p50_ms
    assert [(s.name, s.published, s.dropped) for s in summary.sinks] == [("fake", 3, 0)]


def test_pictures_are_handed_on_without_copying_and_never_drawn_on() -> None:
    delivered = []

    class Keeping(FakeSource):
        def read(self):
            frame = super().read()
            if frame is not None:
                delivered.append(frame.image)
            return frame

    source, sink = Keeping([np.zeros((256, 256, 3), np.uint8)] * 3), FakeSink()
    run(source, synthetic(), [sink])
    assert all(r.frame.image is i for r, i in zip(sink.results, delivered, strict=True))
    assert not any(image.any() for image in delivered)
    assert all(result.annotated.any() for result in sink.results)


def test_boxes_are_in_the_pixels_of_each_picture() -> None:
    small, large, sink = picture(128, 128), picture(512, 512), FakeSink()
    backend = synthetic()
    run(FakeSource([small, large]), backend, [sink])
    first, second = (r.detections.boxes_xyxy for r in sink.results)
    np.testing.assert_allclose(second[0][3], 4 * first[0][3], rtol=1e-4)


@pytest.mark.parametrize("is_live", [False, True])
def test_it_stops_after_so_many_frames(is_live: bool) -> None:
    sink = FakeSink()
    source = FakeSource([picture()] * 500, is_live=is_live, interval_s=0.002)
    summary = run(source, synthetic(), [sink], max_frames=7)
    assert summary.frames == len(sink.results) == 7
    assert source.reads < 500
    assert source.closed


def test_a_stop_request_ends_it_like_the_end_of_the_source() -> None:
    sink = FakeSink()
    pipeline = pipeline_of(FakeSource([picture()] * 1000), synthetic(), [sink])
    got = []
    for result in pipeline.results():
        got.append(result.frame.sequence)
        if result.frame.sequence == 5:
            pipeline.request_stop()
    assert got == list(range(len(got)))
    assert 6 <= pipeline.summary().frames < 1000
    assert sequences(sink) == list(range(pipeline.summary().frames))


def test_stopping_does_not_wait_for_pictures_that_the_network_has_not_begun() -> None:
    stopped = threading.Event()

    class Waiting(SyntheticBackend):
        """Lets the warm-up and the first picture through; the second waits for the stop."""

        runs = 0

        def _run(self, batch: np.ndarray) -> Outputs:
            self.runs += 1
            assert self.runs <= 2 or stopped.wait(10)
            return super()._run(batch)

    backend, sink = Waiting(), FakeSink()
    backend.open()
    pipeline = pipeline_of(FakeSource([picture()] * 100), backend, [sink])
    for _ in pipeline.results():
        pipeline.request_stop()
        stopped.set()
    assert sequences(sink) in ([0], [0, 1])


def test_a_file_that_fails_reaches_the_caller_after_what_was_under_way() -> None:
    source, sink = FakeSource([picture()] * 3, ending="fail"), FakeSink()
    with pytest.raises(SourceError, match="unplugged"):
        run(source, synthetic(0.01), [sink])
    assert sequences(sink) == [0, 1, 2]
    assert source.closed


def test_a_camera_that_stays_away_reaches_the_caller_after_what_was_under_way() -> None:
    source = FakeSource([picture()] * 3, True, interval_s=0.02, ending="fail")
    sink = FakeSink()
    reader = ReaderOptions(backoff=SOON.backoff, give_up_after_s=0.0)
    with pytest.raises(SourceError, match="unplugged"):
        run(source, synthetic(), [sink], reader=reader)
    assert sequences(sink)[-1] == 2
    assert source.closed


def test_a_camera_that_hangs_is_left_behind_when_the_stream_ends() -> None:
    source = FakeSource([picture()] * 2, True, ending="hang")
    pipeline = pipeline_of(source, synthetic(), [], dropping=Dropping(DropPolicy.BLOCK))
    started = time.monotonic()
    for result in pipeline.results():
        if result.frame.sequence == 1:
            pipeline.request_stop()
    assert pipeline.summary().frames == 2
    seconds = pipeline.summary().seconds
    source.let_go.set()
    assert seconds < time.monotonic() - started - JOIN_TIMEOUT_S, "that wait is none of the stream"


@pytest.mark.parametrize("fail_at", [0, 1, 4])
def test_a_network_that_fails_stops_all(fail_at: int) -> None:
    backend = FailingBackend(fail_at)
    backend.open()
    source, sink = FakeSource([picture()] * 500), FakeSink()
    with pytest.raises(BackendError, match="melted"):
        run(source, backend, [sink])
    assert sequences(sink) == list(range(fail_at))
    assert source.closed
    assert source.reads < 500


def test_a_sink_of_a_file_that_fails_stops_all() -> None:
    source, sink = FakeSource([picture()] * 500), FakeSink(fail_at=3)
    with pytest.raises(OutputError, match="full"):
        run(source, synthetic(), [sink])
    assert source.closed
    assert source.reads < 500


def test_a_sink_of_a_camera_that_fails_or_dawdles_costs_only_itself() -> None:
    source = FakeSource([picture()] * 40, True, interval_s=0.002)
    broken, slow, sound = FakeSink(fail_at=2), FakeSink(delay_s=0.3), FakeSink()
    lines: list[str] = []
    sinks = [broken, slow, sound]
    summary = Pipeline([camera(source)], synthetic(), sinks, FlowOptions(), lines.append).run()
    assert summary.frames + summary.dropped == 40
    assert len(sound.results) + summary.sinks[2].dropped == summary.frames
    assert (len(broken.results), broken.ended) == (2, "closed")
    assert summary.sinks[0].problem == "fake sink is full"
    assert summary.sinks[1].dropped > 0
    assert sequences(slow)[-1] == sequences(sound)[-1]
    assert len(lines) == 1


class Hanging(FakeSink):
    """Hangs in every result until it is let go."""

    def __init__(self) -> None:
        super().__init__(name="jsonl")
        self.begun, self.let_go = threading.Event(), threading.Event()

    def publish(self, result: FrameResult) -> None:
        self.begun.set()
        assert self.let_go.wait(30)


@pytest.mark.parametrize("is_left_early", [False, True])
def test_a_sink_that_hangs_does_not_keep_a_file_from_being_stopped(
    monkeypatch: pytest.MonkeyPatch, is_left_early: bool
) -> None:
    monkeypatch.setattr(sink_group, "SINK_TIMEOUT_S", 0.5)
    source, sink = FakeSource([picture()] * 500), Hanging()
    pipeline = pipeline_of(source, synthetic(), [sink])
    results = pipeline.results()
    next(results)
    assert sink.begun.wait(10)
    with pytest.raises(OutputError, match="--jsonl did not end within"):
        if is_left_early:
            results.close()
        else:
            pipeline.request_stop()
            list(results)
    sink.let_go.set()
    pipeline.close_sinks()
    assert sink.ended == "", "nobody touches it any more"
    assert source.closed


def test_a_sink_of_a_camera_that_hangs_at_the_end_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink_group, "SINK_TIMEOUT_S", 0.5)
    sink, sound, lines = Hanging(), FakeSink(), []
    source = FakeSource([picture()] * 5, True, 0.01)
    sinks = [sound, sink]
    pipeline = Pipeline([camera(source)], synthetic(), sinks, FlowOptions(), lines.append)
    summary = pipeline.run()
    sink.let_go.set()
    assert len(lines) == 1
    assert [bool(one.problem) for one in summary.sinks] == [False, True]
    assert len(sound.results) + summary.sinks[0].dropped == summary.frames
    pipeline.close_sinks()
    assert sink.ended == "", "nobody touches it any more"


def test_an_interrupt_ends_it_although_the_network_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "JOIN_TIMEOUT_S", 0.05)
    let_go = threading.Event()

    class Stuck(SyntheticBackend):
        runs = 0

        def _run(self, batch: np.ndarray) -> Outputs:
            self.runs += 1
            assert self.runs == 1 or let_go.wait(30)  # the first is the warm-up
            return super()._run(batch)

    def interrupt() -> None:
        raise KeyboardInterrupt

    backend, source = Stuck(), FakeSource([picture()] * 10)
    backend.open()
    with pytest.raises(KeyboardInterrupt):
        pipeline_of(source, backend, []).run(interrupt)
    assert not let_go.is_set()
    let_go.set()


def test_what_fails_after_the_loop_was_left_reaches_who_closes_it() -> None:
    sink = FakeSink(delay_s=0.05, fail_at=0)
    results = pipeline_of(FakeSource([picture()] * 1000), synthetic(), [sink]).results()
    next(results)
    with pytest.raises(OutputError, match="full"):
        results.close()


def test_a_camera_under_block_goes_on_without_a_broken_sink() -> None:
    source = FakeSource([picture()] * 30, True)
    sound, lines, flow = FakeSink(), [], FlowOptions(dropping=Dropping(DropPolicy.BLOCK))
    sinks = [FakeSink(fail_at=2), sound]
    summary = Pipeline([camera(source)], synthetic(), sinks, flow, lines.append).run()
    assert sequences(sound) == list(range(30))
    assert summary.sinks[0].problem == "fake sink is full"
    assert len(lines) == 1


def test_a_mistake_of_ours_reaches_the_caller_too() -> None:
    class Broken(FakeSource):
        def read(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Broken([]), synthetic(), [])


def test_the_first_of_two_errors_is_the_one_that_is_told() -> None:
    backend = FailingBackend(2)
    backend.open()
    source = FakeSource([picture()] * 2, interval_s=0.05, ending="fail")
    with pytest.raises(CornerRTError, match="unplugged"):
        run(source, backend, [FakeSink()])


def test_an_empty_source_is_an_empty_summary() -> None:
    summary = run(FakeSource([]), synthetic(), [])
    assert (summary.frames, summary.detections, summary.stages) == (0, 0, {})
    assert summary.frames_per_second == 0


def test_a_one_pixel_picture_and_a_change_of_size(tmp_path: Path) -> None:
    images = [picture(1, 1), picture(480, 640), picture(1, 700), picture(64, 48)]
    sink = FakeSink()
    summary = run(FakeSource(images), synthetic(), [sink])
    assert summary.frames == 4
    for result in sink.results:
        height, width = result.frame.image.shape[:2]
        boxes = result.detections.boxes_xyxy
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()


def test_results_of_several_cameras_keep_camera_and_order() -> None:
    sources = {name: FakeSource([picture()] * 25) for name in "abc"}
    sink = FakeSink()
    summary = run([camera(s, n) for n, s in sources.items()], synthetic(), [sink])
    for name in "abc":
        own = [r.frame.sequence for r in sink.results if r.camera == name]
        assert own == list(range(25))
    assert [c.name for c in summary.cameras] == ["a", "b", "c"]
    assert [c.results for c in summary.cameras] == [25, 25, 25]
    assert all(c.state is SourceState.ENDED for c in summary.cameras)


def test_a_network_that_is_too_slow_is_shared_fairly() -> None:
    sources = [FakeSource([picture()] * 80, True, interval_s=0.005) for _ in range(3)]
    cameras = [camera(source, name) for source, name in zip(sources, "abc", strict=True)]
    summary = run(cameras, synthetic(0.02))
    counts = [c.results for c in summary.cameras]
    assert max(counts) - min(counts) <= 3
    assert all(c.results + c.dropped == 80 for c in summary.cameras)


class CountingBatches(SyntheticBackend):
    """Remembers how many pictures each run took; the first is the warm-up."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__(delay_s)
        self.sizes: list[int] = []

    def _run(self, batch: np.ndarray) -> Outputs:
        self.sizes.append(len(batch))
        return super()._run(batch)


def test_pictures_of_several_cameras_share_a_batch_and_find_their_way_back() -> None:
    backend, sink = CountingBatches(0.005), FakeSink()
    backend.open()
    sizes = {"small": picture(64, 64), "large": picture(512, 512), "wide": picture(64, 640)}
    cameras = [camera(FakeSource([image] * 12), name) for name, image in sizes.items()]
    run(cameras, backend, [sink], batching=Batching(most=3, patience_s=0.5))
    assert max(backend.sizes) == 3
    assert len(backend.sizes) - 1 < 36
    counted = Counter(result.camera for result in sink.results)
    assert counted == {"small": 12, "large": 12, "wide": 12}
    for result in sink.results:
        assert result.image_hw == sizes[result.camera].shape[:2]
        assert (result.detections.boxes_xyxy[:, 2] <= result.image_hw[1] + 1e-3).all()


def test_a_batch_does_not_wait_for_a_camera_that_is_away() -> None:
    backend = CountingBatches()
    backend.open()
    silent = FakeSource([], True, ending="hang")
    cameras = [camera(FakeSource([picture()] * 5)), camera(silent, "away")]
    pipeline = pipeline_of(cameras, backend, [], batching=Batching(2, 0.01), max_frames=5)
    assert pipeline.run().frames == 5
    silent.let_go.set()


def test_a_batch_never_overshoots_the_number_that_was_asked_for() -> None:
    cameras = [camera(FakeSource([picture()] * 50), name) for name in "ab"]
    summary = run(cameras, synthetic(), batching=Batching(2, 0.5), max_frames=5)
    assert summary.frames == 5


def test_each_camera_has_its_own_analysis_and_its_time_is_a_stage() -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}

    def analysis_of(name: str) -> Analysis:
        def analyse(found, image_hw, frame):
            assert image_hw == (48, 64)
            seen[name].append(frame.sequence)
            return Detections.empty(), Tracks(
                np.zeros(0, np.int64), line_counts={"door": {"in": 7}}
            )

        return analyse

    cameras = [camera(FakeSource([picture()] * 4), name, analysis_of(name)) for name in "ab"]
    sink = FakeSink()
    summary = run(cameras, synthetic(), [sink])
    assert seen == {"a": [0, 1, 2, 3], "b": [0, 1, 2, 3]}
    assert summary.detections == 0
    assert summary.stages["track"].count == 8
    assert summary.cameras[0].line_counts == {"door": {"in": 7}}
    assert all(result.tracks is not None for result in sink.results)


def test_a_window_is_served_in_the_calling_thread() -> None:
    window = FakeSink(name="show")
    window.in_main_thread = True
    run(FakeSource([picture()] * 5), synthetic(), [window, FakeSink()])
    assert sequences(window) == [0, 1, 2, 3, 4]
    assert window.threads == {threading.current_thread().name}


def test_pictures_that_a_window_has_no_time_for_are_counted() -> None:
    window = FakeSink(delay_s=0.02, name="show")
    window.in_main_thread = True
    source = FakeSource([picture()] * 60, True, interval_s=0.002)
    summary = run(source, synthetic(), [window])
    assert summary.sinks[0].dropped > 0
    assert len(window.results) + summary.sinks[0].dropped == summary.frames


def test_a_window_that_fails_ends_the_stream() -> None:
    window = FakeSink(fail_at=2)
    window.in_main_thread = True
    with pytest.raises(OutputError, match="full"):
        run(FakeSource([picture()] * 500), synthetic(), [window])


def test_a_loop_that_is_left_early_ends_the_stream() -> None:
    source = FakeSource([picture()] * 1000)
    results = pipeline_of(source, synthetic(), []).results()
    assert next(results).frame.sequence == 0
    results.close()
    assert source.closed
    assert source.reads < 1000


def test_the_calling_thread_looks_up_regularly_while_nothing_comes() -> None:
    source, ticks = FakeSource([], True, ending="hang"), []
    pipeline = pipeline_of(source, synthetic(), [])

    def tick() -> None:
        ticks.append(pipeline.status())
        if len(ticks) == 3:
            pipeline.request_stop()

    pipeline.run(tick)
    source.let_go.set()
    assert len(ticks) >= 3
    assert ticks[0].cameras[0].state is SourceState.CONNECTING
    assert ticks[0].cameras[0].age_ms is None
    assert ticks[-1].seconds >= 0.1


def test_the_threshold_can_be_moved_while_it_runs() -> None:
    pipeline = pipeline_of(FakeSource([picture()] * 400), synthetic(), [])
    counts = []
    for result in pipeline.results():
        counts.append(len(result.detections))
        if result.frame.sequence == 20:
            pipeline.set_score(0.85)
        if result.frame.sequence == 100:
            break
    assert counts[0] == 4
    assert counts[-1] == 1
    assert pipeline.status().score == 0.85
    with pytest.raises(CornerRTError, match="expected 0 to 1"):
        pipeline.set_score(1.5)


def test_a_camera_under_block_loses_nothing() -> None:
    source, sink = FakeSource([picture()] * 50, True), FakeSink(delay_s=0.002)
    dropping = Dropping(DropPolicy.BLOCK)
    summary = run(source, synthetic(0.002), [sink], dropping=dropping, max_frames=50)
    assert sequences(sink) == list(range(50))
    assert (summary.dropped, summary.sinks[0].dropped) == (0, 0)


def test_every_third_picture_of_a_file() -> None:
    sink = FakeSink()
    summary = run(FakeSource([picture()] * 10), synthetic(), [sink], dropping=Dropping(every=3))
    assert sequences(sink) == [0, 3, 6, 9]
    assert (summary.cameras[0].captured, summary.cameras[0].skipped) == (10, 6)


def test_a_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: (-1.0) ** next(wall) * 1e9)
    sink = FakeSink()
    summary = run(FakeSource([picture()] * 20), synthetic(), [sink])
    assert sequences(sink) == list(range(20))
    assert 0 <= summary.seconds < 60
    assert summary.stages["age"].p99_ms < 60_000
