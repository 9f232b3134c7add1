"""Many processes that train one network, through Hugging Face Accelerate."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import nn

from detectors.processes import OneProcess

# The others wait this long for process 0 while it evaluates.
LONGEST_WAIT = timedelta(hours=6)


class ManyProcesses(OneProcess):
    """One of the processes that torchrun started; their gradients are averaged.

    Args:
        device: "cpu" or "cuda"; with "cuda" every process of a machine takes its own GPU.
    """

    def __init__(self, device: str) -> None:
        self._accelerator = Accelerator(
            cpu=device == "cpu", kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)]
        )
        super().__init__(self._accelerator.device)
        self.index = self._accelerator.process_index
        self.count = self._accelerator.num_processes

    def distribute(self, network: nn.Module) -> nn.Module:
        """Return what to call instead of the network, so that gradients are averaged."""
        return self._accelerator.prepare_model(network)

    def without_exchange(self, network: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Keep gradients of a backward pass in this process; ``network`` is a distributed one."""
        return self._accelerator.no_sync(network)

    def mean(self, values: Sequence[float]) -> list[float]:
        """Return the means over all processes."""
        tensor = torch.tensor(values, dtype=torch.float32, device=self.device)
        return self._accelerator.reduce(tensor, "mean").tolist()

    def gather(self, values: Sequence[int]) -> list[int]:
        """Return the values of all processes, one after another."""
        return gather_object(list(values))

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Part from the other processes; nothing may be exchanged afterwards."""
        self._accelerator.end_training()
