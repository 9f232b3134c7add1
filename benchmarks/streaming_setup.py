"""Cameras and pipelines that the benchmarks of streaming have in common."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from functools import partial

from runtime.backend_base import Backend
from runtime.backend_synthetic import SyntheticBackend
from runtime.backends import open_backend
from runtime.camera_test_pattern import PatternOptions, PatternSource
from runtime.errors import SourceError, UsageError
from runtime.flow import CameraInput
from runtime.frames import Frame
from runtime.sources import Source, SourceSpec

CAMERA_RATE = 30.0
CAMERA_HW = (480, 640)
SYNTHETIC = "synthetic"  # begins the name of a network that only seems to work


class CompleteSource:
    """The test pattern as a file would be: as fast as it is taken, and nothing may be lost.

    Args:
        name: Of the source.
        is_over: Ends the source when it returns True.

    Attributes:
        delivered: Pictures so far.
    """

    is_live = False
    frame_rate = CAMERA_RATE
    stall_timeout_s: float | None = None

    def __init__(self, name: str, is_over: Callable[[], bool]) -> None:
        self.name = name
        self.delivered = 0
        self._pattern = PatternSource(PatternOptions(CAMERA_HW, None), name)
        self._is_over = is_over

    def read(self) -> Frame | None:
        """Return the next picture; None at the end."""
        if self._is_over():
            return None
        self.delivered += 1
        return self._pattern.read()

    def close(self) -> None:
        """Deliver no more."""
        self._pattern.close()


def camera_input(source: Source) -> CameraInput:
    """Return a camera that is open already and cannot be opened again."""

    def refuse() -> Source:
        raise SourceError(f"{source.name} cannot be opened again")

    return CameraInput(SourceSpec(source.name, source.is_live, refuse), source)


def pattern_cameras(count: int, rate: float = CAMERA_RATE) -> list[CameraInput]:
    """Return live cameras of the test pattern, named "camera 1" and so on."""
    options = PatternOptions(CAMERA_HW, rate)
    names = [f"camera {number + 1}" for number in range(count)]
    return [camera_input(PatternSource(options, name)) for name in names]


def counted(count: int, thing: str) -> str:
    """Return "1 camera", "4 cameras"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def open_synthetic(delay_ms: float) -> Backend:
    """Return a network that seems to take so long, and leaves the processor to others."""
    backend = SyntheticBackend(delay_ms / 1e3)
    backend.open()
    return backend


def open_networks(options: argparse.Namespace, cleanup: contextlib.ExitStack) -> dict[str, Backend]:
    """Open the networks of ``--artifact`` and ``--synthetic-ms``, by name.

    Args:
        options: With ``artifact``, ``synthetic_ms`` and ``threads``.
        cleanup: Closes them.

    Raises:
        UsageError: If there is none, or two have one name.
        BackendError: If one cannot be opened.
    """
    labels = [artifact.name.split(".")[0] for artifact in options.artifact]
    labels += [f"{SYNTHETIC} {delay_ms:g} ms" for delay_ms in options.synthetic_ms]
    if not labels or len(set(labels)) < len(labels):
        got = f"networks {', '.join(labels)}" if labels else "no network"
        raise UsageError(f"got {got}; expected different names in --artifact or --synthetic-ms")
    openers = [partial(open_backend, path, threads=options.threads) for path in options.artifact]
    openers += [partial(open_synthetic, delay_ms) for delay_ms in options.synthetic_ms]
    networks: dict[str, Backend] = {}
    for label, opener in zip(labels, openers, strict=True):
        networks[label] = opener()
        cleanup.callback(networks[label].close)
    return networks
