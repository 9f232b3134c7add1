"""What opening and running an artifact takes of the host's and the GPU's memory."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from runtime.errors import BackendError
from runtime.machine_facts import PROCESS_STATUS, peak_mib
from runtime.measurement import Memory

PROCESS_PAGES = Path("/proc/self/statm")
GPU_TARGETS = ("tensorrt", "tensorrt-rtx")


class MemoryWatch:
    """Notes memory before and after an artifact is opened, and while it runs.

    The GPU's is what was free before less what is free after: other programs on the same GPU show
    in it. The CUDA context, which all artifacts share, is there before.

    Args:
        target: Of the artifact's contract: only engines take memory of a GPU.
    """

    def __init__(self, target: str) -> None:
        self._has_gpu = target in GPU_TARGETS
        self._free_before = self._device_free()
        self._host_before = resident_bytes()
        self._host_open = self._host_before
        self._device_open: int | None = None

    def opened(self) -> None:
        """Note what is taken now that the artifact is open."""
        self._host_open = resident_bytes()
        self._device_open = self._device_taken()

    def memory(self) -> Memory:
        """Return all of it, now that the artifact has run."""
        return Memory(
            host_before_open=self._host_before,
            host_open=self._host_open,
            host_peak=max(peak_bytes(), self._host_open),
            device_open=self._device_open,
            device_running=self._device_taken(),
        )

    def _device_taken(self) -> int | None:
        free = self._device_free()
        return None if free is None or self._free_before is None else self._free_before - free

    def _device_free(self) -> int | None:
        if not self._has_gpu:
            return None
        try:
            from runtime.cuda_memory import free_memory, open_device

            with open_device().current():
                return free_memory()
        except BackendError:  # opening the artifact will say so, with what to do
            self._has_gpu = False
            return None


def resident_bytes(statm: Path = PROCESS_PAGES) -> int:
    """Return this process's resident memory; the most so far where the system does not tell."""
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(status: Path = PROCESS_STATUS) -> int:
    """Return the most resident memory that this process has had.

    Linux tells it in a file; what ``getrusage`` says there holds that of the program that started
    this one.
    """
    peak = peak_mib(status)
    if peak is not None:
        return int(peak * 2**20)
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024
