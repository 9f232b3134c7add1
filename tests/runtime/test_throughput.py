"""Batches of the clip's pictures: which sizes run, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.backend_base import Outputs
from runtime.backend_synthetic import SyntheticBackend
from runtime.measured_clip import Clip
from runtime.throughput import FEWEST_RUNS, MOST_RUNS, WARMUP_RUNS, measure_throughput
from tests.builders import picture
from tests.fakes.sources import FakeSource

CLIP = Clip("fake", 30.0, lambda: FakeSource([picture()] * 3))


class BatchBackend(SyntheticBackend):
    """Takes a number of frames at most, and notes what it was given."""

    most: int | None = None

    def __init__(self, most: int | None, delay_s: float = 0.0) -> None:
        super().__init__(delay_s)
        self.most = most
        self.batches: list[int] = []
        self.pictures: list[np.ndarray] = []

    @property
    def largest_batch(self) -> int | None:
        return self.most

    def _run(self, batch: np.ndarray) -> Outputs:
        self.batches.append(len(batch))
        self.pictures.append(batch[0])
        return super()._run(batch)


def opened(most: int | None, delay_s: float = 0.0) -> Any:
    backend = BatchBackend(most, delay_s)
    backend.open()
    backend.batches.clear()
    backend.pictures.clear()
    return backend


def test_each_batch_size_has_its_figures() -> None:
    entries, left_out = measure_throughput(opened(None, 0.002), CLIP, [1, 2, 4], 0.03)
    assert [entry.batch for entry in entries] == [1, 2, 4] and left_out == ""
    for entry in entries:
        assert entry.latency.p50_ms >= 2.0
        assert entry.frames_per_second == pytest.approx(1000 * entry.batch / entry.latency.p50_ms)


def test_sizes_that_the_artifact_does_not_take_are_one_clear_line() -> None:
    backend = opened(2)
    entries, left_out = measure_throughput(backend, CLIP, [1, 2, 4, 8], 0.0)
    assert [entry.batch for entry in entries] == [1, 2] and max(backend.batches) == 2
    assert left_out == (
        "synthetic on synthetic takes at most 2 frames per run; batches of 4, 8 are left out; "
        "build it for more: make engine MAX_BATCH=8"
    )


def test_real_pictures_are_run_with_warmup_and_few_times_at_least() -> None:
    backend = opened(None)
    (entry,), _ = measure_throughput(backend, CLIP, [2], 0.0)
    assert len(backend.batches) == WARMUP_RUNS + FEWEST_RUNS and entry.latency.count == FEWEST_RUNS
    assert backend.pictures[0].max() > 100


def test_a_fast_network_runs_no_more_often_than_needed() -> None:
    (entry,), _ = measure_throughput(opened(None), CLIP, [1], 60.0)
    assert entry.latency.count == MOST_RUNS


def test_no_batches_are_no_work() -> None:
    backend = opened(1)
    assert measure_throughput(backend, CLIP, [], 1.0) == ((), "")
    assert backend.batches == []
