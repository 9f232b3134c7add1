"""What a source is doing at the moment, and how long to wait before it is tried again."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass


class SourceState(enum.Enum):
    """The life of a source; values are what users and records see."""

    CONNECTING = "connecting"  # being opened, or opened and without its first picture yet
    LIVE = "live"  # pictures arrive
    STALLED = "stalled"  # was live, and has been silent for longer than it should
    RETRYING = "retrying"  # failed; waits before it is opened again
    ENDED = "ended"  # a file that is finished, or a stream that was stopped


@dataclass(frozen=True)
class BackoffOptions:
    """How long to wait before the n-th attempt in a row.

    Attributes:
        first_s: Before the first.
        factor: From one to the next.
        longest_s: Never longer.
        jitter: Each wait is shortened by a random share, up to this one, so that cameras that a
            switch cut off together do not come back all at once.
    """

    first_s: float = 0.5
    factor: float = 2.0
    longest_s: float = 30.0
    jitter: float = 0.2


class Backoff:
    """Counts failures in a row and says how long to wait.

    Args:
        options: The waits.
        draw: Returns a number from 0 to 1; a test passes its own.
    """

    def __init__(self, options: BackoffOptions, draw: Callable[[], float] = random.random) -> None:
        self._options = options
        self._draw = draw
        self.failures = 0

    def next_wait_s(self) -> float:
        """Count one more failure and return the wait before the next attempt, in seconds."""
        options = self._options
        # Bounded exponent: a camera that is away for a week must not overflow a float.
        longest = options.first_s * options.factor ** min(self.failures, 64)
        self.failures += 1
        return min(longest, options.longest_s) * (1.0 - options.jitter * self._draw())

    def reset(self) -> None:
        """Start anew: the source was live for a while."""
        self.failures = 0
