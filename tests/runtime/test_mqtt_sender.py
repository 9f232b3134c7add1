"""From the queue to a connection that answers as the test wants."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.mqtt_queue import MessageQueue
from runtime.mqtt_sender import WINDOW, MqttSender
from tests.fakes.mqtt_broker import wait_until

LIMIT = 1_000_000


class FakeConnection:
    """Takes messages and acknowledges them when it is told to, or by itself."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.is_open = True
        self.has_problem = False
        self.answers = True
        self.sent: list[bytes] = []
        self.is_closed = False
        self._wake = wake
        self._acknowledged: list[int] = []
        self._ids = itertools.count(1)

    def start(self) -> None:
        self._wake()

    def send(self, topic: str, payload: bytes) -> int | None:
        if topic == "#":
            raise ValueError("Publish topic cannot contain wildcards.")
        if not self.is_open:
            return None
        self.sent.append(payload)
        mid = next(self._ids)
        if self.answers:
            self.acknowledge(mid)
        return mid

    def acknowledge(self, *mids: int) -> None:
        self._acknowledged += mids
        self._wake()

    def take_acknowledged(self) -> list[int]:
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A queue, a sender and its connection."""

    def __init__(self, folder: Path | None) -> None:
        self.queue = MessageQueue(folder, LIMIT, lambda line: None)
        self.sender = MqttSender(self.queue, self._connect)

    def _connect(self, wake: Callable[[], None]) -> FakeConnection:
        self.connection = FakeConnection(wake)
        return self.connection

    def put(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.queue.put("topic", b"%d" % number)
            self.sender.wake()

    @property
    def sent(self) -> list[int]:
        return [int(payload) for payload in self.connection.sent]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.connection.has_problem = True
    bench.sender.close(0.0)


def test_messages_are_sent_in_order_and_forgotten(bench: Bench) -> None:
    bench.sender.start()
    bench.put(1, 500)
    wait_until(lambda: bench.queue.waiting == 0)
    assert bench.sent == list(range(1, 501))


def test_no_more_than_a_window_is_on_its_way(bench: Bench) -> None:
    bench.connection.answers = False
    bench.sender.start()
    bench.put(1, 500)
    wait_until(lambda: len(bench.sent) == WINDOW)
    time.sleep(0.1)
    assert len(bench.sent) == WINDOW
    bench.connection.acknowledge(1, 2, 3)
    wait_until(lambda: len(bench.sent) == WINDOW + 3)
    assert bench.sent == list(range(1, WINDOW + 4))


def test_a_message_is_kept_until_all_before_it_are_acknowledged(
    bench: Bench, tmp_path: Path
) -> None:
    bench.connection.answers = False
    bench.sender.start()
    bench.put(1, 5)
    wait_until(lambda: len(bench.sent) == 5)
    bench.connection.acknowledge(1, 3, 4)
    bench.sender.close(0.0)
    assert bench.connection.is_closed
    again = Bench(tmp_path)
    again.sender.start()
    wait_until(lambda: again.queue.waiting == 0)
    again.sender.close(0.0)
    assert again.sent == [2, 3, 4, 5]


def test_a_queue_that_fills_quickly_goes_to_disk_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.mqtt_sender.FLUSH_S", 1e6)
    bench.connection.is_open = False
    bench.sender.start()
    wait_until(lambda: bench.sender._flush_at_s > 0)
    bench.put(1, 1)
    time.sleep(0.1)
    assert bench.queue._memory
    bench.put(2, 2200)
    wait_until(lambda: not bench.queue.is_pressing)
    assert bench.queue.dropped == 0
    assert bench.queue.waiting == 2200


def test_nothing_is_sent_while_there_is_no_connection(bench: Bench) -> None:
    bench.connection.is_open = False
    bench.sender.start()
    bench.put(1, 5)
    time.sleep(0.1)
    assert bench.sent == []
    bench.connection.is_open = True
    bench.sender.wake()
    wait_until(lambda: bench.sent == [1, 2, 3, 4, 5])


def test_close_sends_what_is_left_first(bench: Bench) -> None:
    bench.sender.start()
    bench.put(1, 3000)
    bench.sender.close(60.0)
    assert bench.sent == list(range(1, 3001))
    assert bench.queue.waiting == 0


def test_close_waits_for_a_connection_that_is_just_being_made(bench: Bench) -> None:
    bench.connection.is_open = False
    bench.sender.start()
    bench.put(1, 3)
    opener = itertools.count()
    take = bench.connection.take_acknowledged

    def open_at_the_third_look() -> list[int]:
        bench.connection.is_open = next(opener) > 2
        bench.sender.wake()
        return take()

    bench.connection.take_acknowledged = open_at_the_third_look  # type: ignore[method-assign]
    bench.sender.close(60.0)
    assert bench.sent == [1, 2, 3]


def test_close_does_not_wait_for_a_broker_that_is_away(bench: Bench) -> None:
    bench.connection.is_open, bench.connection.has_problem = False, True
    bench.sender.start()
    bench.put(1, 3)
    bench.sender.close(1e6)
    assert bench.queue.waiting == 3


def test_close_gives_up_on_a_broker_that_does_not_answer(bench: Bench) -> None:
    bench.connection.answers = False
    bench.sender.start()
    bench.put(1, 3)
    bench.sender.close(0.2)
    assert bench.queue.waiting == 3


def test_a_topic_that_is_none_is_skipped_and_counted(bench: Bench) -> None:
    bench.put(1, 2)
    bench.queue.put("#", b"damaged on disk")
    bench.put(4, 5)
    bench.sender.start()
    wait_until(lambda: bench.queue.waiting == 0)
    assert bench.sent == [1, 2, 4, 5]
    assert bench.queue.dropped == 1
    assert bench.sender.failure is None


def test_a_mistake_of_ours_is_kept_and_everything_closed(bench: Bench, tmp_path: Path) -> None:
    def broken(_topic: str, _payload: bytes) -> int | None:
        raise RuntimeError("a mistake")

    bench.connection.send = broken  # type: ignore[method-assign]
    bench.sender.start()
    bench.put(1, 2)
    wait_until(lambda: bench.connection.is_closed)
    bench.sender.close(0.0)
    assert str(bench.sender.failure) == "a mistake"
    assert MessageQueue(tmp_path, LIMIT, lambda line: None).waiting == 2
