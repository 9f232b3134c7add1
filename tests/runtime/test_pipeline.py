"""Three threads: order, dropping, errors and a clean end. No test depends on how fast it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime.backend_base import Outputs
from runtime.backend_synthetic import SyntheticBackend
from runtime.errors import BackendError, CornerRTError, OutputError, SourceError
from runtime.frames import FrameResult
from runtime.pipeline import Pipeline
from runtime.postprocess import PostprocessOptions
from tests.builders import picture
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

OPTIONS = PostprocessOptions()


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
    left = [t for t in threading.enumerate() if t.name in {"capture", "inference"}]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)


def sequences(sink: FakeSink) -> list[int]:
    return [result.frame.sequence for result in sink.results]


def test_a_file_is_presented_completely_and_in_order() -> None:
    source, sink = FakeSource([picture()] * 30), FakeSink()
    summary = Pipeline(source, synthetic(), [sink], OPTIONS).run()
    assert sequences(sink) == list(range(30))
    assert (summary.frames, summary.dropped) == (30, 0)
    assert summary.detections == sum(len(r.detections) for r in sink.results) > 0
    assert summary.frames_per_second > 0
    assert source.closed


@pytest.mark.parametrize(("network_s", "sink_s"), [(0.01, 0.0), (0.0, 0.01)])
def test_a_file_loses_nothing_however_slow_a_stage_is(network_s: float, sink_s: float) -> None:
    sink = FakeSink(delay_s=sink_s)
    summary = Pipeline(FakeSource([picture()] * 20), synthetic(network_s), [sink], OPTIONS).run()
    assert sequences(sink) == list(range(20))
    assert summary.dropped == 0


@pytest.mark.parametrize(("network_s", "sink_s"), [(0.02, 0.0), (0.0, 0.02)])
def test_a_live_source_loses_old_pictures_and_counts_them(network_s: float, sink_s: float) -> None:
    source = FakeSource([picture()] * 60, is_live=True, interval_s=0.001)
    sink = FakeSink(delay_s=sink_s)
    summary = Pipeline(source, synthetic(network_s), [sink], OPTIONS).run()
    got = sequences(sink)
    assert got == sorted(set(got))
    assert got[-1] == 59  # the latest always arrives
    assert summary.dropped == 60 - len(got) > 0


def test_every_stage_is_timed() -> None:
    sink = FakeSink()
    summary = Pipeline(FakeSource([picture()] * 3), synthetic(), [sink], OPTIONS).run()
    stages = ["capture", "letterbox", "network", "postprocess", "draw", "age", "publish"]
    assert list(summary.stages) == stages
    assert all(stage.count == 3 and stage.p50_ms >= 0 for stage in summary.stages.values())
    assert summary.stages["age"].p50_ms >= summary.stages["network"].p50_ms


def test_pictures_are_handed_on_without_copying_and_drawn_on() -> None:
    delivered = []

    class Keeping(FakeSource):
        def read(self):
            frame = super().read()
            if frame is not None:
                delivered.append(frame.image)
            return frame

    source, sink = Keeping([np.zeros((256, 256, 3), np.uint8)] * 3), FakeSink()
    Pipeline(source, synthetic(), [sink], OPTIONS).run()
    assert all(r.frame.image is i for r, i in zip(sink.results, delivered, strict=True))
    assert all(image.any() for image in delivered)


def test_boxes_are_in_the_pixels_of_each_picture() -> None:
    small, large, sink = picture(128, 128), picture(512, 512), FakeSink()
    backend = synthetic()
    Pipeline(FakeSource([small, large]), backend, [sink], OPTIONS).run()
    first, second = (r.detections.boxes_xyxy for r in sink.results)
    np.testing.assert_allclose(second[0][3], 4 * first[0][3], rtol=1e-4)


@pytest.mark.parametrize("is_live", [False, True])
def test_it_stops_after_so_many_frames(is_live: bool) -> None:
    sink = FakeSink()
    source = FakeSource([picture()] * 500, is_live=is_live, interval_s=0.002)
    summary = Pipeline(source, synthetic(), [sink], OPTIONS, max_frames=7).run()
    assert summary.frames == len(sink.results) == 7
    assert source.reads < 500
    assert source.closed


def test_a_stop_request_ends_it_like_the_end_of_the_source() -> None:
    sink = FakeSink()
    pipeline = Pipeline(FakeSource([picture()] * 1000), synthetic(), [sink], OPTIONS)

    def stop_at_five(result: FrameResult) -> None:
        if result.frame.sequence == 5:
            pipeline.request_stop()

    summary = pipeline.run(stop_at_five)
    assert 6 <= summary.frames < 1000
    assert sequences(sink) == list(range(summary.frames))


def test_stopping_does_not_wait_for_pictures_that_the_network_has_not_begun() -> None:
    stopped = threading.Event()

    class Waiting(SyntheticBackend):
        """Lets the warm-up and the first picture through; the second waits for the stop."""

        runs = 0

        def _run(self, batch: np.ndarray) -> Outputs:
            self.runs += 1
            assert self.runs <= 2 or stopped.wait(10)
            return super()._run(batch)

    def stop(result: FrameResult) -> None:
        pipeline.request_stop()
        stopped.set()

    backend, sink = Waiting(), FakeSink()
    backend.open()
    pipeline = Pipeline(FakeSource([picture()] * 100), backend, [sink], OPTIONS)
    pipeline.run(stop)
    assert sequences(sink) in ([0], [0, 1])


@pytest.mark.parametrize("is_live", [False, True])
def test_a_source_that_fails_reaches_the_caller_after_what_was_under_way(is_live: bool) -> None:
    source = FakeSource([picture()] * 3, is_live, interval_s=0.02, ending="fail")
    sink = FakeSink()
    with pytest.raises(SourceError, match="unplugged"):
        Pipeline(source, synthetic(), [sink], OPTIONS).run()
    assert sequences(sink)[-1] == 2
    assert is_live or sequences(sink) == [0, 1, 2]
    assert source.closed


def test_a_camera_that_hangs_is_an_error_after_its_timeout() -> None:
    source = FakeSource([picture()] * 2, True, ending="hang", stall_timeout_s=0.2)
    sink = FakeSink()
    # Let go below: the thread is left behind on purpose, as with a driver that hangs.
    with pytest.raises(SourceError, match=r"fake camera delivered no picture for 0\.2 s after 2"):
        Pipeline(source, synthetic(), [sink], OPTIONS).run()
    source.let_go.set()
    assert sequences(sink)[-1] == 1


@pytest.mark.parametrize("fail_at", [0, 1, 4])
def test_a_network_that_fails_stops_all(fail_at: int) -> None:
    backend = FailingBackend(fail_at)
    backend.open()
    source, sink = FakeSource([picture()] * 500), FakeSink()
    with pytest.raises(BackendError, match="melted"):
        Pipeline(source, backend, [sink], OPTIONS).run()
    assert sequences(sink) == list(range(fail_at))
    assert source.closed
    assert source.reads < 500


def test_a_sink_that_fails_stops_all() -> None:
    source, sink = FakeSource([picture()] * 500), FakeSink(fail_at=3)
    with pytest.raises(OutputError, match="full"):
        Pipeline(source, synthetic(), [sink], OPTIONS).run()
    assert source.closed
    assert source.reads < 500


def test_a_mistake_of_ours_reaches_the_caller_too() -> None:
    class Broken(FakeSource):
        def read(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Pipeline(Broken([]), synthetic(), [], OPTIONS).run()


def test_the_first_of_two_errors_is_the_one_that_is_told() -> None:
    backend = FailingBackend(2)
    backend.open()
    source = FakeSource([picture()] * 2, interval_s=0.01, ending="fail")
    with pytest.raises(CornerRTError, match="unplugged"):
        Pipeline(source, backend, [FakeSink()], OPTIONS).run()


def test_an_empty_source_is_an_empty_summary() -> None:
    summary = Pipeline(FakeSource([]), synthetic(), [], OPTIONS).run()
    assert (summary.frames, summary.detections, summary.stages) == (0, 0, {})
    assert summary.frames_per_second == 0


def test_a_one_pixel_picture_and_a_change_of_size(tmp_path: Path) -> None:
    images = [picture(1, 1), picture(480, 640), picture(1, 700), picture(64, 48)]
    sink = FakeSink()
    summary = Pipeline(FakeSource(images), synthetic(), [sink], OPTIONS).run()
    assert summary.frames == 4
    for result in sink.results:
        height, width = result.frame.image.shape[:2]
        boxes = result.detections.boxes_xyxy
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
