"""The processes that train one network together: usually one, with torchrun many.

Only where there are many is Accelerate imported, and only there do processes talk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from runtime.errors import UsageError

# What torchrun tells each of its processes.
TORCHRUN_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class OneProcess:
    """A run in a single process: nothing is exchanged.

    Args:
        device: Where the network computes.

    Attributes:
        index: Which of the processes this is, from 0; number 0 alone writes and evaluates.
        count: How many processes there are.
        device: Where the network computes.
    """

    index = 0
    count = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def is_main(self) -> bool:
        """Say whether this process writes files and evaluates."""
        return self.index == 0

    def distribute(self, network: nn.Module) -> nn.Module:
        """Return what to call instead of the network, so that gradients are averaged."""
        return network

    def without_exchange(self, network: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Keep gradients of a backward pass in this process; ``network`` is a distributed one."""
        return contextlib.nullcontext()

    def mean(self, values: Sequence[float]) -> list[float]:
        """Return the means over all processes."""
        return list(values)

    def gather(self, values: Sequence[int]) -> list[int]:
        """Return the values of all processes, one after another."""
        return list(values)

    def wait(self) -> None:
        """Wait until all processes are here."""

    def close(self) -> None:
        """Part from the other processes; nothing may be exchanged afterwards."""


def open_processes(device: str = "auto", environment: Mapping[str, str] = os.environ) -> OneProcess:
    """Join the other processes of a run, if torchrun started it; otherwise be alone.

    Args:
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        environment: Where torchrun's variables are looked for.

    Raises:
        UsageError: If there is no such device, or torchrun's variables are incomplete.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda found no GPU; expected one that PyTorch can use; take cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if is_distributed(environment):
        from detectors.processes_accelerate import ManyProcesses  # heavy, and seldom needed

        return ManyProcesses(device)
    return OneProcess(torch.device(device))


def is_distributed(environment: Mapping[str, str]) -> bool:
    """Say whether torchrun started this process among others.

    Raises:
        UsageError: If some of torchrun's variables are missing or make no sense.
    """
    missing = [name for name in TORCHRUN_VARIABLES if not environment.get(name)]
    # MASTER_ADDR and the like alone are set by other programs as well.
    if {"RANK", "LOCAL_RANK"} <= set(missing) and environment.get("WORLD_SIZE", "1") == "1":
        return False
    if missing:
        raise UsageError(
            f"the environment names one process of many but lacks {', '.join(missing)}; expected "
            f"all of {', '.join(TORCHRUN_VARIABLES)}; start with torchrun, or unset them"
        )
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"):
        if not environment[name].isdecimal():
            raise UsageError(
                f"{name} is {environment[name]!r} in the environment; expected a whole number; "
                "start with torchrun, or unset it"
            )
    rank, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    if rank >= count:  # would wait for the others for ever
        raise UsageError(
            f"RANK is {rank} and WORLD_SIZE {count} in the environment; expected a rank below it; "
            "start with torchrun, or unset them"
        )
    return count > 1
