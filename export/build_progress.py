"""How far a build is: a bar on a terminal, and Ctrl-C that stops it cleanly everywhere."""

from __future__ import annotations

import sys
from typing import Any


class BuildProgress:
    """Follows the nested phases of a build.

    The total grows with every phase that TensorRT announces, so the bar is honest about what is
    known. Use from one thread at a time.

    Attributes:
        interrupted: Whether the user pressed Ctrl-C; the build then ends without an engine.
    """

    def __init__(self, bar: Any = None) -> None:
        """Start.

        Args:
            bar: A ``tqdm`` bar, None for no display.
        """
        self.interrupted = False
        self._bar = bar
        self._left: dict[str, int] = {}

    def start(self, phase: str, steps: int) -> None:
        """Note that a phase of so many steps begins."""
        self._left[phase] = steps
        if self._bar is not None:
            self._bar.total = (self._bar.total or 0) + steps
            self._bar.set_description(phase, refresh=True)

    def step(self, phase: str) -> bool:
        """Note that one step is done; returns whether to go on."""
        self._advance(phase, 1)
        return not self.interrupted

    def finish(self, phase: str) -> None:
        """Note that a phase ended, with or without its last steps."""
        self._advance(phase, self._left.get(phase, 0))
        self._left.pop(phase, None)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def _advance(self, phase: str, steps: int) -> None:
        steps = min(steps, self._left.get(phase, 0))
        self._left[phase] = self._left.get(phase, 0) - steps
        if self._bar is not None and steps:
            self._bar.update(steps)


def start_progress() -> BuildProgress:
    """Return progress with a bar on a terminal; without one elsewhere, or if tqdm is missing."""
    if not sys.stderr.isatty():
        return BuildProgress()
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # a device does not need it
        return BuildProgress()

    return BuildProgress(tqdm(desc="building", leave=False, unit="step", file=sys.stderr))


def monitor_of(api: Any, progress: BuildProgress) -> Any:
    """Return TensorRT's ``IProgressMonitor`` that reports to ``progress``.

    A Python exception must not travel through TensorRT's C++ frames: Ctrl-C becomes a request to
    stop.

    Args:
        api: The TensorRT module.
        progress: What it reports to.
    """

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]  # known only once api is loaded
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            _guarded(progress, lambda: progress.start(phase, steps))

        def phase_finish(self, phase: str) -> None:
            _guarded(progress, lambda: progress.finish(phase))

        def step_complete(self, phase: str, step: int) -> bool:
            _guarded(progress, lambda: progress.step(phase))
            return not progress.interrupted

    return Monitor()


def _guarded(progress: BuildProgress, action: Any) -> None:
    try:
        action()
    except KeyboardInterrupt:
        progress.interrupted = True
