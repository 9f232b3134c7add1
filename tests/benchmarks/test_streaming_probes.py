"""Probes find planted losses, wrong order and wrong pictures, and keep every age."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.streaming_probes import (
    AGE_BINS_MS,
    AgeProbe,
    DrawProbe,
    MemoryLog,
    OrderProbe,
    PaceProbe,
    ProcessTime,
    age_figures,
    read_memory,
)
from runtime.detections import Detections
from runtime.frames import Frame, FrameResult
from runtime.pattern_picture import PatternPicture

PICTURE = PatternPicture((48, 64))


def result(number: int, camera: str = "gate", age_ms: float = 1.0) -> FrameResult:
    frame = Frame(PICTURE.render(number), camera, number, 0)
    times = {"network": 0.5, "age": age_ms}
    return FrameResult(camera, frame, Detections.empty(), ("a",), times, (48, 64))


def order_of(numbers: list[int], delivered: int) -> OrderProbe:
    probe = OrderProbe(sample_every=1)
    for number in numbers:
        probe.publish(result(number))
    probe.finish({"gate": delivered})
    return probe


def test_a_complete_stream_has_nothing_to_find() -> None:
    probe = order_of([0, 1, 2, 3], 4)
    assert (sum(probe.missing.values()), probe.reordered, probe.wrong_pictures) == (0, 0, 0)
    assert probe.received == {"gate": 4} and probe.read_pictures == 4


@pytest.mark.parametrize(
    ("numbers", "delivered", "missing", "reordered"),
    [
        ([0, 2, 3], 4, 1, 0),  # lost on the way
        ([1, 2, 3], 4, 1, 0),  # lost at the start
        ([0, 1], 4, 2, 0),  # lost at the end
        ([], 3, 3, 0),  # nothing came
        ([0, 1, 1, 2], 3, 0, 1),  # repeated
        ([0, 2, 1, 3], 4, 1, 1),  # swapped
    ],
)
def test_what_is_lost_and_what_is_out_of_order(
    numbers: list[int], delivered: int, missing: int, reordered: int
) -> None:
    probe = order_of(numbers, delivered)
    assert (sum(probe.missing.values()), probe.reordered) == (missing, reordered)


def test_cameras_are_counted_apart() -> None:
    probe = OrderProbe()
    for number in range(3):
        probe.publish(result(number, "gate"))
        probe.publish(result(number, "yard"))
    probe.finish({"gate": 3, "yard": 4})
    assert probe.missing == {"gate": 0, "yard": 1} and probe.reordered == 0


def test_a_picture_that_is_not_its_results_is_found() -> None:
    probe = OrderProbe(sample_every=2)
    good = result(0)
    probe.publish(good)
    probe.publish(replace(good, frame=replace(good.frame, sequence=1)))  # not looked at
    probe.publish(replace(good, frame=replace(good.frame, sequence=2)))
    blank = replace(good.frame, sequence=3, image=np.full((48, 64, 3), 128, np.uint8))
    probe.publish(result(3))
    probe.publish(replace(good, frame=replace(blank, sequence=4)))  # no number at all
    assert (probe.read_pictures, probe.wrong_pictures) == (3, 2)


def test_ages_are_kept_with_their_tail() -> None:
    probe = AgeProbe()
    for age in (1.0, 2.0, 30_000.0):
        probe.publish(result(0, age_ms=age))
    assert probe.ages_ms == {"gate": [1.0, 2.0, 30_000.0]} and len(probe.network_ms) == 3
    figures = age_figures(probe.ages_ms["gate"])
    assert (figures["count"], figures["p50_ms"], figures["max_ms"]) == (3, 2.0, 30_000.0)
    assert sum(figures["histogram"].values()) == 3
    assert figures["histogram"][f"from {AGE_BINS_MS[-1]} ms"] == 1


def test_results_of_the_warm_up_do_not_count() -> None:
    probe = AgeProbe(warmup_s=3600.0)
    probe.publish(result(0))
    assert probe.ages_ms == {} and probe.network_ms == []


def test_pace_is_counted_from_result_to_result(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = PaceProbe()
    probe.publish(result(0))  # before
    monkeypatch.setattr(time, "sleep", lambda _: probe.publish(result(0)))
    with monkeypatch.context() as patch:
        moments = iter([10.0, 10.5])
        patch.setattr(time, "perf_counter", lambda: next(moments))
        assert probe.measure(0.1) == 500.0
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr("benchmarks.streaming_probes.PATIENCE_S", 0.0)
    with pytest.raises(TimeoutError, match="fewer than two results"):
        probe.measure(0.1)


def test_every_nth_picture_is_drawn() -> None:
    probe, results = DrawProbe(every=2), [result(number) for number in range(4)]
    for each in results:
        probe.publish(each)
    assert ["annotated" in vars(each) for each in results] == [False, True, False, True]


def test_memory_is_read_from_the_system(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nVmRSS:\t  2048 kB\nRssAnon:\t 1024 kB\nRssFile:\t 1 kB\n")
    memory = read_memory(status)
    assert (memory.resident, memory.anonymous) == (2048, 1024)
    mine = read_memory()
    assert 0 < mine.anonymous <= mine.resident


def test_memory_is_sampled_once_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log = MemoryLog(longest_s=10.0)
    for _ in range(10):
        log.tick()
        now += 0.25
    assert [at for at, _ in log.samples] == [0.0, 1.0, 2.0]
    assert all(memory.resident > memory.anonymous > 0 for _, memory in log.samples)


def test_memory_takes_no_more_samples_than_it_has_room_for() -> None:
    log = MemoryLog(longest_s=0.0)
    for _ in range(5):
        log._next = 0.0
        log.tick()
    assert len(log.samples) == 2


def test_processor_time_counts_all_threads_of_the_process() -> None:
    used = ProcessTime()
    sum(range(200_000))
    assert used.cores_used() > 0
