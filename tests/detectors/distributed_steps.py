"""What each process of the distributed test runs: a few steps, with everything kept for comparison.

torchrun --nproc-per-node 2 -m tests.detectors.distributed_steps SHAPES OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from detectors.batches import load_batches
from detectors.dataset import read_coco
from detectors.objectives import find_objective
from detectors.processes import OneProcess, open_processes
from detectors.train_options import TrainOptions
from detectors.trainer import Trainer
from tests.detectors.tiny_training import tiny_options

STEPS = 3


def options_for(processes: int) -> TrainOptions:
    """Return the same steps of four images for one or two processes."""
    return tiny_options(batch=4, accumulate=4 // processes, max_gradient_norm=0.0)


def take_steps(shapes: Path, processes: OneProcess) -> dict[str, object]:
    """Return the first step's losses and gradients, and the weights after all steps."""
    torch.set_num_threads(1)
    options = options_for(processes.count)
    trainer = Trainer(options, 6, processes)
    dataset = find_objective(trainer.spec).training_set(options, trainer.spec, read_coco(shapes))
    batches = load_batches(dataset, options, processes)
    losses = trainer.train_step(batches)
    gradients = {name: p.grad.clone() for name, p in trainer.network.named_parameters()}
    for _ in range(STEPS - 1):
        trainer.train_step(batches)
    weights = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    gathered = processes.gather([processes.index])
    return {"losses": losses, "gradients": gradients, "weights": weights, "gathered": gathered}


if __name__ == "__main__":
    shapes, out = (Path(word) for word in sys.argv[1:])
    joined = open_processes("cpu")
    torch.save(take_steps(shapes, joined), out / f"{joined.index}.pt")
    joined.wait()
    joined.close()
