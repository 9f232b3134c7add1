"""Handing items from thread to thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from runtime.frame_buffer import DropPolicy, FrameBuffer


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(work()), daemon=True)
    thread.start()
    return thread, answers


def test_items_come_out_in_order_and_are_not_copied() -> None:
    buffer: FrameBuffer[object] = FrameBuffer(2, DropPolicy.BLOCK)
    items = [object(), object()]
    assert all(buffer.put(item) for item in items)
    assert [buffer.get(), buffer.get()] == items


def test_latest_drops_the_oldest_and_counts() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(2, DropPolicy.LATEST)
    for item in range(5):
        assert buffer.put(item)
    assert buffer.dropped == 3
    assert [buffer.get(), buffer.get()] == [3, 4]


def test_block_makes_the_producer_wait_and_drops_nothing() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(1, DropPolicy.BLOCK)
    buffer.put(0)
    thread, answers = in_thread(lambda: buffer.put(1))
    time.sleep(0.05)
    assert thread.is_alive()
    assert buffer.get() == 0
    thread.join(5)
    assert answers == [True]
    assert buffer.get() == 1
    assert buffer.dropped == 0


def test_closing_delivers_the_rest_and_then_none() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(3, DropPolicy.BLOCK)
    buffer.put(1)
    buffer.close()
    assert [buffer.get(), buffer.get(), buffer.get()] == [1, None, None]


def test_closing_wakes_a_waiting_consumer() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(1, DropPolicy.LATEST)
    thread, answers = in_thread(buffer.get)
    buffer.close()
    thread.join(5)
    assert answers == [None]


def test_cancelling_wakes_a_waiting_producer_and_drops_the_rest() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(1, DropPolicy.BLOCK)
    buffer.put(0)
    thread, answers = in_thread(lambda: buffer.put(1))
    time.sleep(0.02)
    buffer.cancel()
    thread.join(5)
    assert answers == [False]
    assert buffer.get() is None
    assert not buffer.put(2)


def test_waiting_too_long_is_a_timeout() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(1, DropPolicy.LATEST)
    with pytest.raises(TimeoutError):
        buffer.get(timeout_s=0.01)


def test_a_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        FrameBuffer(0, DropPolicy.BLOCK)


@pytest.mark.parametrize("policy", list(DropPolicy))
def test_under_load_order_is_kept_and_every_item_accounted_for(policy: DropPolicy) -> None:
    buffer: FrameBuffer[int] = FrameBuffer(3, policy)

    def produce() -> None:
        for item in range(2000):
            buffer.put(item)
        buffer.close()

    thread, _ = in_thread(produce)
    taken = []
    while (item := buffer.get()) is not None:
        taken.append(item)
    thread.join(5)
    assert taken == sorted(set(taken))
    assert len(taken) + buffer.dropped == 2000
    assert policy is DropPolicy.LATEST or buffer.dropped == 0
