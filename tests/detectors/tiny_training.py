"""A run of a few steps on tiny images, for the tests of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from detectors.batches import Batch, load_batches
from detectors.dataset import read_coco
from detectors.objectives import find_objective
from detectors.registry import find_spec
from detectors.train_options import Session, TrainOptions
from detectors.trainer import Trainer

TINY_OPTIONS = TrainOptions(
    model="cornernet-nano",
    size_hw=(64, 64),
    steps=4,
    batch=2,
    warmup=2,
    precision="float32",
    vertical_flip=True,
    seed=3,
)


@pytest.fixture(name="one_thread")
def one_thread_fixture() -> Iterator[None]:
    """Sums are rounded in another order with other threads; the command sets them for good."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_options(**changes: Any) -> TrainOptions:
    return dataclasses.replace(TINY_OPTIONS, **changes)


def tiny_session(out: Path, **changes: Any) -> Session:
    return Session(out, **{"workers": 0, "log_every": 1, **changes})


def tiny_batches(shapes: Path, options: TrainOptions, first_step: int = 0) -> Iterator[Batch]:
    spec = find_spec(options.model)
    dataset = find_objective(spec).training_set(options, spec, read_coco(shapes))
    return load_batches(dataset, options, Trainer(options, 6).processes, first_step)


def differing(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> list[str]:
    """Return the names under which two networks' tensors are not equal."""
    assert first.keys() == second.keys()
    return [name for name, value in first.items() if not torch.equal(value, second[name])]
