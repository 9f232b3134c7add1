"""Endless batches for a run, and how long the training waits for them."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from detectors.dataset import EpochSampler, TrainingSet
from detectors.processes import OneProcess
from detectors.train_options import TrainOptions
from runtime.errors import UsageError

Batch = dict[str, Tensor]


class TimedBatches(Iterator[Batch]):
    """Micro-batches, with a clock that runs while the caller waits for the next one.

    Args:
        batches: Where they come from.

    Attributes:
        waited_s: Seconds waited so far.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.waited_s = 0.0

    def __next__(self) -> Batch:
        """Return the next micro-batch."""
        started = time.perf_counter()
        batch = next(self._batches)
        self.waited_s += time.perf_counter() - started
        return batch


def load_batches(
    dataset: TrainingSet,
    options: TrainOptions,
    processes: OneProcess,
    first_step: int = 0,
    workers: int = 0,
) -> TimedBatches:
    """Return this process's micro-batches for ever; ``options.accumulate`` of them make a step.

    Args:
        dataset: Images with their targets.
        options: The run.
        processes: Those that share a step's images.
        first_step: Step to begin with.
        workers: Processes that load images; 0 loads in this one.

    Raises:
        UsageError: If a step's images cannot be divided evenly.
        DatasetError: If there are fewer images than a step needs.
    """
    micro_batch_size(options, processes.count)
    sampler = EpochSampler(
        len(dataset),
        options.batch,
        options.seed,
        first_step,
        accumulate=options.accumulate,
        process=processes.index,
        processes=processes.count,
    )
    # A forked copy of a process in which OpenCV or OpenMP had started threads can hang.
    context = multiprocessing.get_context("forkserver") if workers else None
    if context:
        context.set_forkserver_preload([__name__])  # imported once, however many workers there are
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        worker_init_fn=_prepare_worker if workers else None,
        multiprocessing_context=context,
        pin_memory=processes.device.type == "cuda",
        # Its own: opening the loader must not draw from the numbers that the network gets.
        generator=torch.Generator().manual_seed(options.seed),
    )
    return TimedBatches(iter(loader))


def micro_batch_size(options: TrainOptions, processes: int) -> int:
    """Return how many images go through the network at once.

    Raises:
        UsageError: If the images of a step do not divide evenly.
    """
    parts = options.accumulate * processes
    if options.batch % parts:
        raise UsageError(
            f"--batch is {options.batch}; expected a multiple of {parts}, for {options.accumulate} "
            f"micro-batches in each of {processes} processes; use "
            f"{max(1, round(options.batch / parts)) * parts}"
        )
    return options.batch // parts


def _prepare_worker(_: int) -> None:
    """Leave Ctrl-C to the process that trains, and one core to each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
