"""All sinks together: fed alike, and ended although one hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from runtime import sink_group
from runtime.frame_buffer import DropPolicy
from runtime.frames import FrameResult
from runtime.sink_group import SinkGroup
from runtime.sink_worker import SinkWorker
from tests.fakes.sinks import FakeSink
from tests.runtime.test_sink_worker import Hanging, result


class Group:
    """A group of a sound and a hanging sink, and what was said and failed."""

    def __init__(self, is_live: bool) -> None:
        self.lines: list[str] = []
        self.errors: list[BaseException] = []
        self.hanging, self.sound = Hanging(), FakeSink(name="save")
        self.workers = [
            SinkWorker(sink, DropPolicy.BLOCK, is_live, self.lines.append, self.errors.append)
            for sink in (self.sound, self.hanging)
        ]
        self.group = SinkGroup(self.workers, is_live)
        self.group.start()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_group, "SINK_TIMEOUT_S", 0.5)
    monkeypatch.setattr(sink_group, "LOOK_EVERY_S", 0.01)


@pytest.fixture(params=[True, False], ids=["camera", "file"])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    group = Group(request.param)
    yield group
    group.hanging.let_go.set()
    assert all(worker.join(10) for worker in group.workers)


def test_every_sink_gets_every_result_before_the_end(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_group, "SINK_TIMEOUT_S", 60.0)
    group.hanging.let_go.set()
    for sequence in range(20):
        group.group.offer(result(sequence))
    group.group.end(lambda: False)
    assert [one.frame.sequence for one in group.sound.results] == list(range(20))
    assert [worker.status().published for worker in group.workers] == [20, 20]
    assert group.lines == group.errors == []


def test_a_sink_that_hangs_is_left_behind_when_the_stream_was_asked_to_stop(group: Group) -> None:
    for sequence in range(3):
        group.group.offer(result(sequence))
    group.group.end(lambda: True)
    assert [worker.is_left_behind for worker in group.workers] == [False, True]
    assert len(group.lines) + len(group.errors) == 1
    assert len(group.sound.results) == 3
    group.group.leave_stuck_behind()  # says nothing more
    assert len(group.lines) + len(group.errors) == 1


def test_a_file_waits_for_a_slow_sink_until_somebody_asks_to_stop() -> None:
    group = Group(is_live=False)
    group.group.offer(result())
    ended = threading.Thread(target=group.group.end, args=(lambda: False,))
    ended.start()
    ended.join(0.8)  # longer than a camera would wait
    assert ended.is_alive()
    group.hanging.let_go.set()
    ended.join(10)
    assert group.errors == []


def test_a_camera_does_not_wait_even_for_a_sink_that_gets_on() -> None:
    lines: list[str] = []

    class Slow(FakeSink):
        def publish(self, result: FrameResult) -> None:
            assert not threading.Event().wait(0.4)

    worker = SinkWorker(Slow(), DropPolicy.BLOCK, True, lines.append, print)
    slow = SinkGroup([worker], is_live=True)
    slow.start()
    for _ in range(4):
        slow.offer(result())
    slow.end(lambda: False)
    assert worker.is_left_behind
    assert len(lines) == 1
    assert worker.join(10)
    assert worker.status().published < 4
