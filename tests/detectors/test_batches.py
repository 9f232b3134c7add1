"""Batches and the clock of waiting for them."""

from __future__ import annotations

import time

import pytest
import torch

from detectors.batches import TimedBatches, load_batches, micro_batch_size
from detectors.dataset import TrainingSet, read_coco
from detectors.objectives import find_objective
from detectors.processes import OneProcess
from detectors.registry import find_spec
from runtime.errors import DatasetError, UsageError
from tests.detectors.tiny_training import tiny_options


@pytest.fixture(name="dataset", scope="module")
def training_set(shapes) -> TrainingSet:
    spec = find_spec("cornernet-nano")
    return find_objective(spec).training_set(tiny_options(), spec, read_coco(shapes))


def second_of_two() -> OneProcess:
    process = OneProcess(torch.device("cpu"))
    process.index, process.count = 1, 2
    return process


def alone() -> OneProcess:
    return OneProcess(torch.device("cpu"))


def ids(batches: TimedBatches, count: int) -> list[list[int]]:
    return [next(batches)["image_id"].tolist() for _ in range(count)]


def test_a_resumed_run_goes_on_with_the_same_images(dataset):
    options = tiny_options(batch=2)
    whole = ids(load_batches(dataset, options, alone()), 6)
    assert ids(load_batches(dataset, options, alone(), first_step=4), 2) == whole[4:]
    first, second = (
        [image for batch in part for image in batch] for part in (whole[:3], whole[3:])
    )
    assert sorted(first) == sorted(second)


def test_processes_share_a_step_as_micro_batches_do(dataset):
    accumulated = ids(load_batches(dataset, tiny_options(batch=4, accumulate=2), alone()), 4)
    second = ids(load_batches(dataset, tiny_options(batch=4), second_of_two()), 2)
    assert second == accumulated[1::2]


def test_loading_draws_nothing_from_the_networks_random_numbers(dataset):
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    next(load_batches(dataset, tiny_options(), alone()))
    assert torch.equal(torch.rand(3), expected)


def test_the_clock_runs_while_waiting_only():
    def slow():
        while True:
            time.sleep(0.02)
            yield {}

    batches = TimedBatches(slow())
    assert batches.waited_s == 0
    next(batches)
    first = batches.waited_s
    time.sleep(0.05)
    assert batches.waited_s == first >= 0.02
    next(batches)
    assert batches.waited_s > first


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes", "expected"), [(8, 1, 1, 8), (8, 2, 1, 4), (12, 2, 3, 2)]
)
def test_a_step_is_divided_evenly(batch, accumulate, processes, expected):
    assert micro_batch_size(tiny_options(batch=batch, accumulate=accumulate), processes) == expected


def test_what_cannot_be_divided_is_refused_with_the_nearest_that_can():
    with pytest.raises(UsageError, match=r"--batch is 49; expected a multiple of 8.*use 48"):
        micro_batch_size(tiny_options(batch=49), 8)
    with pytest.raises(UsageError, match="use 4"):
        micro_batch_size(tiny_options(batch=1, accumulate=2), 2)


def test_too_few_images_are_refused(dataset):
    with pytest.raises(DatasetError, match="lower --batch"):
        load_batches(dataset, tiny_options(batch=7), alone())
