"""A sink apart: slow, broken, hanging."""

from __future__ import annotations

import errno
import os
import sys
import threading

import pytest

from runtime.detections import Detections
from runtime.errors import OutputError
from runtime.frame_buffer import DropPolicy
from runtime.frames import Frame, FrameResult
from runtime.sink_worker import CAPACITY_WITH_PICTURES, SinkWorker
from runtime.thread_priority import NICENESS
from tests.builders import picture
from tests.fakes.sinks import FakeSink

LATEST, BLOCK = DropPolicy.LATEST, DropPolicy.BLOCK


class Told:
    """What a worker said, and the errors that were to end the stream."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.errors: list[BaseException] = []


def worker_of(
    sink: FakeSink, policy: DropPolicy, told: Told | None = None, is_live: bool | None = None
) -> SinkWorker:
    told = told or Told()
    live = policy is LATEST if is_live is None else is_live
    return SinkWorker(sink, policy, live, told.lines.append, told.errors.append)


def result(sequence: int = 0) -> FrameResult:
    frame = Frame(picture(), "gate", sequence, 0)
    return FrameResult("gate", frame, Detections.empty(), ("a",), {"age": 1.0}, (48, 64))


def run(worker: SinkWorker, results: int) -> None:
    worker.start()
    for sequence in range(results):
        worker.offer(result(sequence))
    worker.finish()
    assert worker.join(10)


def sequences(sink: FakeSink) -> list[int]:
    return [one.frame.sequence for one in sink.results]


def test_results_arrive_in_order_in_a_thread_of_the_sinks_own() -> None:
    sink = FakeSink(name="jsonl")
    worker = worker_of(sink, BLOCK)
    run(worker, 20)
    assert sequences(sink) == list(range(20))
    assert sink.threads == {"sink jsonl"}
    status = worker.status()
    assert (status.name, status.published, status.dropped, status.problem) == ("jsonl", 20, 0, "")
    assert status.publish_ms is not None
    assert status.publish_ms.count == 20


def test_a_sink_without_need_gets_no_pictures() -> None:
    sink = FakeSink()
    sink.needs_picture = False
    run(worker_of(sink, BLOCK), 1)
    assert sink.results[0].frame.image.size == 0
    assert sink.results[0].image_hw == (48, 64)


def test_what_waits_is_published_before_the_end() -> None:
    sink = FakeSink(delay_s=0.01)
    run(worker_of(sink, BLOCK), 15)
    assert sequences(sink) == list(range(15))


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness is a thread's on Linux only")
@pytest.mark.parametrize(("name", "gives_way"), [("serve", True), ("save", False)])
def test_what_only_shows_gives_way_to_the_network(name: str, gives_way: bool) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []

    class Looking(FakeSink):
        def publish(self, result: FrameResult) -> None:
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    run(worker_of(Looking(name=name), LATEST), 1)
    assert seen == [max(usual, NICENESS) if gives_way else usual]


def test_a_slow_sink_of_a_camera_loses_the_oldest_and_delays_nobody() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Waiting(FakeSink):
        def publish(self, result: FrameResult) -> None:
            begun.set()
            assert go_on.wait(10)
            super().publish(result)

    sink = Waiting()
    worker = worker_of(sink, LATEST)
    worker.start()
    worker.offer(result(0))
    assert begun.wait(10)
    for sequence in range(1, 100):
        worker.offer(result(sequence))  # would hang here if it waited
    go_on.set()
    worker.finish()
    assert worker.join(10)
    kept = CAPACITY_WITH_PICTURES
    assert sequences(sink) == [0, *range(100 - kept, 100)]
    assert worker.status().dropped == 99 - kept


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutputError("fake sink is full"), "fake sink is full"),
        (OSError(errno.ENOSPC, "No space left on device", "o.jsonl"), "o.jsonl: No space left"),
    ],
)
def test_a_broken_sink_of_a_camera_is_given_up_with_one_line(error: Exception, said: str) -> None:
    sink, told = FakeSink(fail_at=3, error=error, name="jsonl"), Told()
    worker = worker_of(sink, LATEST, told)
    run(worker, 50)
    assert told.errors == []
    assert len(told.lines) == 1
    assert "--jsonl failed and is given up, the stream goes on" in told.lines[0]
    assert said in told.lines[0]
    assert sink.ended == "closed", "what was written can be used"
    assert worker.has_failed
    assert said in worker.status().problem
    worker.offer(result())  # is ignored


def test_a_camera_that_waits_for_its_sinks_goes_on_without_a_broken_one() -> None:
    sink, told = FakeSink(fail_at=3), Told()
    run(worker_of(sink, BLOCK, told, is_live=True), 50)
    assert (len(told.lines), told.errors, sink.ended) == (1, [], "closed")


def test_a_file_that_waits_for_nobody_still_wants_all_or_nothing() -> None:
    sink, told = FakeSink(fail_at=0), Told()
    run(worker_of(sink, LATEST, told, is_live=False), 1)
    assert (told.lines, len(told.errors), sink.ended) == ([], 1, "")


def test_a_broken_sink_of_a_file_ends_the_stream() -> None:
    sink, told = FakeSink(fail_at=3), Told()
    run(worker_of(sink, BLOCK, told), 50)
    assert [str(error) for error in told.errors] == ["fake sink is full"]
    assert told.lines == []
    assert sink.ended == "", "the stream discards it"


@pytest.mark.parametrize("policy", [LATEST, BLOCK])
def test_a_mistake_of_ours_ends_the_stream(policy: DropPolicy) -> None:
    told = Told()
    run(worker_of(FakeSink(fail_at=0, error=ZeroDivisionError()), policy, told), 5)
    assert [type(error) for error in told.errors] == [ZeroDivisionError]


def test_a_sink_that_cannot_even_be_closed_is_given_up_all_the_same() -> None:
    class Stuck(FakeSink):
        def close(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    told = Told()
    run(worker_of(Stuck(fail_at=0), LATEST, told), 3)
    assert len(told.lines) == 1


class Hanging(FakeSink):
    """Hangs in its first result until it is let go."""

    def __init__(self) -> None:
        super().__init__(name="mqtt")
        self.begun, self.let_go = threading.Event(), threading.Event()

    def publish(self, result: FrameResult) -> None:
        self.begun.set()
        assert self.let_go.wait(30)


@pytest.mark.parametrize("is_live", [True, False])
def test_a_sink_that_hangs_is_left_behind(is_live: bool) -> None:
    sink, told = Hanging(), Told()
    worker = worker_of(sink, LATEST, told, is_live)
    assert not worker.is_stuck(0.0)
    worker.start()
    worker.offer(result())
    worker.finish()
    assert sink.begun.wait(10)
    assert not worker.join(0.01)
    assert worker.is_stuck(0.001)
    assert not worker.is_stuck(60.0)
    worker.leave_behind(0.05)
    said = told.lines if is_live else [str(error) for error in told.errors]
    assert len(told.lines) + len(told.errors) == 1
    assert said[0].startswith("--mqtt did not end within 0.05 s; expected its disk or network")
    assert worker.is_left_behind
    assert worker.status().problem.startswith("did not end within")
    assert sink.ended == "", "its thread may still use it"
    sink.let_go.set()
    assert worker.join(10)
    assert not worker.is_stuck(0.0)


def test_who_waits_for_a_sink_that_hangs_is_freed_when_it_is_left_behind() -> None:
    sink = Hanging()
    worker = worker_of(sink, BLOCK)
    worker.start()
    feeding = threading.Thread(target=lambda: [worker.offer(result()) for _ in range(20)])
    feeding.start()
    assert sink.begun.wait(10)
    worker.leave_behind(1.0)
    feeding.join(10)
    assert not feeding.is_alive()
    sink.let_go.set()
    assert worker.join(10)


def test_a_worker_that_never_started_has_ended() -> None:
    assert worker_of(FakeSink(), BLOCK).join(0.0)


class FullAtTheEnd(FakeSink):
    """Fails when it is closed."""

    def close(self) -> None:
        raise OutputError("disk is full")


def test_closing_a_sink() -> None:
    sink = FakeSink()
    worker = worker_of(sink, BLOCK)
    run(worker, 1)
    worker.close()
    assert sink.ended == "closed"


def test_a_sink_of_a_camera_that_fails_at_the_end_is_told_and_remembered() -> None:
    told = Told()
    worker = worker_of(FullAtTheEnd(name="save"), LATEST, told)
    run(worker, 1)
    worker.close()
    assert told.lines == ["--save could not be finished: disk is full"]
    assert worker.status().problem == "disk is full"
    worker.close()
    assert len(told.lines) == 1


def test_a_sink_of_a_file_that_fails_at_the_end_is_an_error() -> None:
    worker = worker_of(FullAtTheEnd(), BLOCK)
    run(worker, 1)
    with pytest.raises(OutputError, match="disk is full"):
        worker.close()
