"""Queues of many cameras: order, loss, waiting, turns and batches."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from runtime.camera_queues import CAPACITY, CameraQueues
from runtime.frame_buffer import DropPolicy

LATEST, BLOCK = DropPolicy.LATEST, DropPolicy.BLOCK


def test_items_of_a_camera_keep_their_order() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK])
    for item in range(4):
        assert queues.put(0, item)
    assert [queues.take() for _ in range(4)] == [[(0, item)] for item in range(4)]


def test_latest_keeps_the_newest_and_counts_by_camera() -> None:
    queues: CameraQueues[int] = CameraQueues([LATEST, LATEST])
    for item in range(5):
        queues.put(1, item)
    assert queues.take() == [(1, 4)]
    assert queues.dropped == [0, 4]


def test_block_waits_for_room() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK])
    put = []

    def produce() -> None:
        for item in range(20):
            queues.put(0, item)
            put.append(item)
        queues.close(0)

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    while batch := queues.take():
        assert len(put) <= len(taken) + CAPACITY[BLOCK] + 1
        taken += [item for _, item in batch]
    thread.join(5)
    assert taken == list(range(20))
    assert queues.dropped == [0]


def test_cameras_take_turns() -> None:
    queues: CameraQueues[str] = CameraQueues([BLOCK, BLOCK, BLOCK])
    for camera, name in enumerate("abc"):
        for _ in range(3):
            queues.put(camera, name)
    order = "".join(queues.take()[0][1] for _ in range(9))
    assert order == "abcabcabc"


def test_a_busy_camera_gets_no_more_than_its_share_while_others_wait() -> None:
    queues: CameraQueues[int] = CameraQueues([LATEST, LATEST, LATEST])
    taken: Counter[int] = Counter()
    for _ in range(90):
        queues.put(0, 0)
        queues.put(0, 0)  # twice as fast as the others
        for camera in (1, 2):
            queues.put(camera, 0)
        for _ in range(2):  # the network keeps up with two of four
            taken[queues.take()[0][0]] += 1
    assert max(taken.values()) - min(taken.values()) <= 1


def test_a_silent_camera_leaves_its_turn_to_others() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK, BLOCK])
    queues.put(1, 7)
    queues.put(1, 8)
    assert queues.take() == [(1, 7)]
    assert queues.take() == [(1, 8)]


def test_a_batch_takes_one_of_each_before_a_second_of_any() -> None:
    queues: CameraQueues[str] = CameraQueues([BLOCK, BLOCK])
    for item in "ab":
        queues.put(0, item)
    queues.put(1, "c")
    assert queues.take(most=3) == [(0, "a"), (1, "c"), (0, "b")]


def test_a_batch_is_never_larger_than_asked_for() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK] * 3)
    for camera in range(3):
        queues.put(camera, camera)
    assert len(queues.take(most=2)) == 2
    assert queues.take(most=2) == [(2, 2)]


def test_a_batch_waits_for_cameras_that_are_a_little_late() -> None:
    queues: CameraQueues[int] = CameraQueues([LATEST, LATEST])
    queues.put(0, 0)
    late = threading.Timer(0.05, queues.put, (1, 1))
    late.start()
    assert queues.take(most=2, patience_s=20.0) == [(0, 0), (1, 1)]
    late.join()


def test_patience_has_an_end() -> None:
    queues: CameraQueues[int] = CameraQueues([LATEST, LATEST])
    queues.put(0, 0)
    started = time.monotonic()
    assert queues.take(most=2, patience_s=0.05) == [(0, 0)]
    assert time.monotonic() - started >= 0.05


def test_nobody_waits_for_a_camera_that_has_ended_nor_for_a_second_picture_of_the_same() -> None:
    queues: CameraQueues[int] = CameraQueues([LATEST, LATEST, LATEST])
    queues.put(0, 0)
    queues.put(1, 1)
    queues.close(2)
    assert queues.take(most=3, patience_s=1000.0) == [(0, 0), (1, 1)]


def test_the_end_comes_when_all_have_closed_and_nothing_is_left() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK, BLOCK])
    queues.put(0, 0)
    queues.close(0)
    assert queues.take() == [(0, 0)]
    ender = threading.Timer(0.05, queues.close, (1,))
    ender.start()
    assert queues.take() == []
    ender.join()


def test_cancel_frees_a_producer_and_the_consumer_and_drops_what_waits() -> None:
    queues: CameraQueues[int] = CameraQueues([BLOCK])
    for item in range(CAPACITY[BLOCK]):
        queues.put(0, item)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queues.put(0, 99)))
    thread.start()
    queues.cancel()
    thread.join(5)
    assert answers == [False]
    assert queues.take() == []
    assert queues.put(0, 1) is False


@pytest.mark.parametrize("policy", [LATEST, BLOCK])
def test_many_threads_lose_and_mix_up_nothing_that_they_should_not(policy: DropPolicy) -> None:
    cameras, items = 5, 200
    queues: CameraQueues[int] = CameraQueues([policy] * cameras)

    def produce(camera: int) -> None:
        for item in range(items):
            queues.put(camera, item)
        queues.close(camera)

    threads = [threading.Thread(target=produce, args=(camera,)) for camera in range(cameras)]
    for thread in threads:
        thread.start()
    got: dict[int, list[int]] = {camera: [] for camera in range(cameras)}
    while batch := queues.take(most=3, patience_s=0.001):
        for camera, item in batch:
            got[camera].append(item)
    for thread in threads:
        thread.join(5)
    for camera, own in got.items():
        assert own == sorted(set(own))
        assert own[-1] == items - 1
        assert len(own) + queues.dropped[camera] == items
