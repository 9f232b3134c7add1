"""Ctrl-C while training: the step is finished and saved before the command ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(KeyboardInterrupt):
    """The user, or the system, ended a run early; its checkpoint is complete."""


class StopRequest:
    """Notes Ctrl-C and SIGTERM instead of obeying; a second one is obeyed at once.

    Use as a context; outside the main thread, where Python delivers no signals, it notes nothing.

    Attributes:
        is_made: Whether one arrived.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        """Take over the signals."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_made = True
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
